import JSON

/// A version of the specification that this module speaks. There are no others: a version is matched as exact text (N3).
public enum SpecVersion: String, CaseIterable, Sendable, Comparable {
    case v0_1_0 = "0.1.0"
    case v0_2_0 = "0.2.0"
    case v0_3_0 = "0.3.0"
    case v0_3_1 = "0.3.1"
    case v0_4_0 = "0.4.0"
    case v1_0_0 = "1.0.0"
    case v1_1_0 = "1.1.0"

    public static let latest = SpecVersion.v1_1_0
    /// What a configuration without `cniVersion` means (N2).
    public static let whenMissing = SpecVersion.v0_1_0

    public static func < (left: SpecVersion, right: SpecVersion) -> Bool {
        // Cases are declared in order.
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }

    /// Reads the `cniVersion` of a configuration or a result.
    ///
    /// Throws code 6 for what is no version number (N5), code 1 for a version that is not spoken here.
    init(parsing text: String, key: String) throws(CNIError) {
        if let version = SpecVersion(rawValue: text) {
            self = version
            return
        }
        let components = text.split(separator: ".", omittingEmptySubsequences: false)
        let isNumeric = components.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        guard isNumeric, components.count <= 3 else {
            throw CNIError(.decodingFailure, "\"\(key)\" is not a version number", details: text.quoted)
        }
        throw CNIError(
            .incompatibleVersion,
            "incompatible CNI versions",
            details: "configuration is \(text.quoted), plugin supports \(Self.supportedList)"
        )
    }

    static var supportedList: String { "[" + allCases.map { $0.rawValue.quoted }.joined(separator: " ") + "]" }

    /// The answer to VERSION (N1).
    ///
    /// - Parameter stdin: what the runtime sent; its `cniVersion` is repeated. Anything may stand there, also nothing
    ///   (V7).
    public static func reply(toStdin stdin: [UInt8]) -> JSONValue {
        var asked = latest.rawValue
        if case .object(let object)? = try? JSONValue(parsing: stdin.span),
            case .string(let text)? = object["cniVersion"], !text.isEmpty
        {
            asked = text
        }
        return [
            "cniVersion": .string(asked),
            "supportedVersions": .array(allCases.map { .string($0.rawValue) }),
        ]
    }
}

extension SpecVersion: CustomStringConvertible {
    public var description: String { rawValue }
}
