/// A list of objects of one kind, as the API server answers it: a page of them with `limit`, else all.
public struct ObjectList<Item: Decodable & Sendable>: Decodable, Sendable {
    /// The version of the whole list, to watch from; opaque.
    public let resourceVersion: String
    /// Asks for the next page; empty on the last one.
    public let continueToken: String
    public let items: [Item]

    private enum CodingKeys: String, CodingKey { case metadata, items }
    private enum MetadataKeys: String, CodingKey {
        case resourceVersion
        case continueToken = "continue"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        items = try container.list(forKey: .items)
        guard container.contains(.metadata), try !container.decodeNil(forKey: .metadata) else {
            (resourceVersion, continueToken) = ("", "")
            return
        }
        let metadata = try container.nestedContainer(keyedBy: MetadataKeys.self, forKey: .metadata)
        resourceVersion = try metadata.decodeIfPresent(String.self, forKey: .resourceVersion) ?? ""
        continueToken = try metadata.decodeIfPresent(String.self, forKey: .continueToken) ?? ""
    }
}
