/// A table; two tables with the same name in different families are different tables.
public struct Table: Hashable, Sendable {
    public let family: Family
    public let name: String
    public let comment: String?

    public init(family: Family, name: String, comment: String? = nil) {
        self.family = family
        self.name = name
        self.comment = comment
    }

    /// Whether both name the same object, whatever their comments say.
    public func isSameTable(as other: Table) -> Bool { family == other.family && name == other.name }
}

extension Table: CustomStringConvertible {
    /// `ip swiftlet`, as in `nft list table ip swiftlet`.
    public var description: String { "\(family) \(name)" }
}
