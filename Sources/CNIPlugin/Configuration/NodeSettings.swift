import CNI
import Glibc

/// Under which name this node owns blocks and records endpoints (2.11).
struct NodeSettings {
    /// Calico's; it is used when it is there.
    static let defaultFile = "/var/lib/calico/nodename"

    let name: String?
    let file: String?
    let fileIsOptional: Bool
    let hostname: String?

    init(_ configuration: ObjectReader) throws(CNIError) {
        name = try configuration.nonEmptyString("nodename")
        file = try configuration.nonEmptyString("nodename_file")
        fileIsOptional = try configuration.bool("nodename_file_optional") ?? false
        hostname = try configuration.nonEmptyString("hostname")
    }

    /// The node's name: `nodename`, else what the file says, else `hostname`, else the host's own in lower case.
    ///
    /// A file that is configured must be there, unless it is optional: until the agent has written it the node may be
    /// known under a wrong name.
    /// - Parameter hostName: the host's own name.
    /// - Throws: Code 11 for a file that is not there yet, 7 for a name that is none.
    func resolve(hostName: () throws(CNIError) -> String = Self.hostName) throws(CNIError) -> String {
        let resolved: String
        if let name {
            resolved = name
        } else if let text = try SmallFile.contents(file ?? Self.defaultFile), !text.isEmpty {
            resolved = text
        } else if let file, !fileIsOptional {
            throw CNIError(.tryAgainLater, "the node's name is not known yet: \(file) is missing or empty")
        } else if let hostname {
            resolved = hostname
        } else {
            resolved = try hostName().lowercased()
        }
        guard Self.isName(resolved) else {
            throw CNIError(
                .invalidConfiguration,
                "the node's name must have 1 to 253 letters, digits, '-', '_' and '.', and start with a letter or digit",
                details: resolved.quoted
            )
        }
        return resolved
    }

    private static func isName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count), let first = text.utf8.first else { return false }
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        return isAlphanumeric(first)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2d || $0 == 0x2e || $0 == 0x5f }
    }

    static func hostName() throws(CNIError) -> String {
        var name = utsname()
        guard uname(&name) == 0 else { throw .systemCall("read", "the host's name", errno) }
        return withUnsafeBytes(of: &name.nodename) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

extension ObjectReader {
    /// A string; an empty one counts as missing, as Go's plugins write those.
    func nonEmptyString(_ key: String) throws(CNIError) -> String? {
        guard let text = try string(key), !text.isEmpty else { return nil }
        return text
    }
}
