import JSON

/// What a plugin answers when it could not do what it was asked: the error result of the specification.
public struct CNIError: Error, Hashable, Sendable {
    /// The number that a runtime acts upon. Up to 99 they are the specification's.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: Int

        public init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// The configuration's `cniVersion` is not supported, or has no such command.
        public static let incompatibleVersion = Code(rawValue: 1)
        /// A field is known, its value is not possible here; the message has both.
        public static let unsupportedField = Code(rawValue: 2)
        /// CHECK of an attachment that nobody knows; the runtime need not send DEL.
        public static let unknownContainer = Code(rawValue: 3)
        /// An environment variable is missing or malformed.
        public static let invalidEnvironment = Code(rawValue: 4)
        /// Reading or writing failed.
        public static let ioFailure = Code(rawValue: 5)
        /// JSON, or a record of the store, is not what it should be.
        public static let decodingFailure = Code(rawValue: 6)
        /// The network configuration makes no sense.
        public static let invalidConfiguration = Code(rawValue: 7)
        /// `CNI_NETNS` is the plugin's own namespace, or is none.
        public static let invalidNamespace = Code(rawValue: 8)
        /// Something is busy or away; the same call may succeed later.
        public static let tryAgainLater = Code(rawValue: 11)
        /// STATUS: an ADD would fail.
        public static let pluginNotAvailable = Code(rawValue: 50)
        /// STATUS: an ADD would fail, and the containers that are there may have lost their network.
        public static let pluginNotAvailableLimitedConnectivity = Code(rawValue: 51)
        /// No address is left in the pools that were allowed.
        public static let poolExhausted = Code(rawValue: 100)
        /// The address that was asked for cannot be had.
        public static let addressUnavailable = Code(rawValue: 101)
        /// The node has as many blocks as it may, and they are full.
        public static let blockLimit = Code(rawValue: 102)
        /// Only blocks of other nodes have free addresses, and strict affinity forbids those.
        public static let strictAffinity = Code(rawValue: 103)
        /// Records contradict one another.
        public static let datastoreInconsistent = Code(rawValue: 104)
        /// What nobody foresaw.
        public static let `internal` = Code(rawValue: 999)
    }

    public let code: Code
    /// One sentence for a person.
    public let message: String
    /// More of it, or nothing.
    public let details: String

    public init(_ code: Code, _ message: String, details: String = "") {
        self.code = code
        self.message = message
        self.details = details
    }

    /// The error result. It belongs on stdout, as libcni looks nowhere else (V8).
    public func json(version: SpecVersion) -> JSONValue {
        var object = JSONObject([
            ("cniVersion", .string(version.description)), ("code", .number(code.rawValue)), ("msg", .string(message)),
        ])
        if !details.isEmpty { object["details"] = .string(details) }
        return .object(object)
    }
}

extension CNIError: CustomStringConvertible {
    public var description: String { details.isEmpty ? message : "\(message): \(details)" }
}
