/// What a runtime asks for, from the environment variables that start with `CNI_`; checked.
public enum Invocation: Hashable, Sendable {
    case add(Attachment, namespacePath: String)
    /// Without a namespace when the runtime has none to give, as after a reboot.
    case delete(Attachment, namespacePath: String?)
    case check(Attachment, namespacePath: String)
    case collectGarbage(path: [String])
    case status(path: [String])
    case version

    /// The variables that a command needs, in the order in which they are reported missing.
    ///
    /// `CNI_PATH` is in none of them: it is needed only by who starts another plugin (3.1).
    private static func required(by command: Command) -> [String] {
        switch command {
        case .add, .check: ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]
        case .delete: ["CNI_CONTAINERID", "CNI_IFNAME"]
        case .collectGarbage, .status, .version: []
        }
    }

    /// Throws code 4 for an unknown command and for variables that are missing or malformed (V1 to V3, V5).
    public init(environment: [String: String]) throws(CNIError) {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

        guard let word = value("CNI_COMMAND") else {
            throw CNIError(.invalidEnvironment, "required env variables [CNI_COMMAND] missing")
        }
        guard let command = Command(rawValue: word) else {
            let known = Command.allCases.map(\.rawValue).joined(separator: ", ")
            throw CNIError(.invalidEnvironment, "unknown CNI_COMMAND: \(word.quoted)", details: "known are \(known)")
        }
        let missing = Self.required(by: command).filter { value($0) == nil }
        guard missing.isEmpty else {
            throw CNIError(
                .invalidEnvironment,
                "required env variables [\(missing.joined(separator: ","))] missing",
                details: "CNI_COMMAND is \(word)"
            )
        }
        let path = (value("CNI_PATH") ?? "").split(separator: ":").map(String.init)
        switch command {
        case .version: self = .version
        case .status: self = .status(path: path)
        case .collectGarbage: self = .collectGarbage(path: path)
        case .add, .delete, .check:
            let attachment = try Attachment(
                id: AttachmentID(
                    containerID: value("CNI_CONTAINERID") ?? "",
                    interfaceName: value("CNI_IFNAME") ?? ""
                ),
                arguments: CNIArguments(value("CNI_ARGS") ?? ""),
                path: path,
                allowsOwnNamespace: ["true", "1"].contains(value("CNI_NETNS_OVERRIDE")?.lowercased())
            )
            let namespacePath = value("CNI_NETNS")
            if let namespacePath, namespacePath.utf8.count >= maximumPathLength {
                throw CNIError(.invalidEnvironment, "CNI_NETNS is longer than a path can be")
            }
            switch command {
            case .add: self = .add(attachment, namespacePath: namespacePath ?? "")
            case .check: self = .check(attachment, namespacePath: namespacePath ?? "")
            default: self = .delete(attachment, namespacePath: namespacePath)
            }
        }
    }
}

/// `PATH_MAX` of linux/limits.h.
private let maximumPathLength = 4096

/// The values of `CNI_COMMAND`.
public enum Command: String, CaseIterable, Sendable {
    case add = "ADD"
    case delete = "DEL"
    case check = "CHECK"
    case collectGarbage = "GC"
    case status = "STATUS"
    case version = "VERSION"

    /// The first version of the specification with this command.
    public var introduced: SpecVersion {
        switch self {
        case .add, .delete, .version: .v0_1_0
        case .check: .v0_4_0
        case .collectGarbage, .status: .v1_1_0
        }
    }
}

extension Invocation {
    public var command: Command {
        switch self {
        case .add: .add
        case .delete: .delete
        case .check: .check
        case .collectGarbage: .collectGarbage
        case .status: .status
        case .version: .version
        }
    }
}

/// One container's one interface, and what the runtime says about it.
public struct Attachment: Hashable, Sendable {
    public let id: AttachmentID
    public let arguments: CNIArguments
    /// The directories of `CNI_PATH`, where other plugins are.
    public let path: [String]
    /// Whether `CNI_NETNS_OVERRIDE` says that `CNI_NETNS` may be the plugin's own namespace (V11).
    public let allowsOwnNamespace: Bool

    public init(
        id: AttachmentID,
        arguments: CNIArguments = .none,
        path: [String] = [],
        allowsOwnNamespace: Bool = false
    ) {
        self.id = id
        self.arguments = arguments
        self.path = path
        self.allowsOwnNamespace = allowsOwnNamespace
    }
}

/// What an attachment is known by: DEL, CHECK and GC name it by nothing else.
public struct AttachmentID: Hashable, Sendable {
    public let containerID: String
    public let interfaceName: String

    /// Throws code 4 for an identifier or an interface name that the specification does not allow.
    public init(containerID: String, interfaceName: String) throws(CNIError) {
        guard isIdentifier(containerID) else {
            throw CNIError(
                .invalidEnvironment,
                "CNI_CONTAINERID must start with a letter or digit and contain only those, '_', '.' and '-'",
                details: containerID.quoted
            )
        }
        guard isInterfaceName(interfaceName) else {
            throw CNIError(
                .invalidEnvironment,
                "CNI_IFNAME must be 1 to 15 bytes, not '.' or '..', without '/', ':', '%' and spaces",
                details: interfaceName.quoted
            )
        }
        self.containerID = containerID
        self.interfaceName = interfaceName
    }
}

/// Whether text is `[a-zA-Z0-9][a-zA-Z0-9_.\-]*`, the rule for container IDs and network names (V2, V4).
func isIdentifier(_ text: String) -> Bool {
    var isFirst = true
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            isFirst = false
        case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
            if isFirst { return false }
        default: return false
        }
    }
    return !isFirst
}

/// What the kernel takes as the name of a link (V3; `dev_valid_name` of net/core/dev.c).
public func isInterfaceName(_ text: String) -> Bool {
    guard (1...15).contains(text.utf8.count), text != ".", text != ".." else { return false }
    // A link that is asked for as `net%d` is named by the kernel (dev_alloc_name): CNI_IFNAME would not be its name.
    guard !text.utf8.contains(UInt8(ascii: "%")) else { return false }
    // What is not UTF-8 would be another name when it is written.
    guard !text.unicodeScalars.contains("\u{fffd}") else { return false }
    // The kernel's isspace() takes 0xa0 (NBSP in Latin-1) for a space, also inside a character of UTF-8.
    return text.unicodeScalars.allSatisfy { scalar in
        scalar != "/" && scalar != ":" && scalar.value != 0 && !scalar.properties.isWhitespace
    } && !text.utf8.contains(0xa0)
}
