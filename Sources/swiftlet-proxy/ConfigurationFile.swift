import FoundationEssentials
import Glibc
import JSON
import ServiceProxy
import YAML

/// A KubeProxyConfiguration on disk, as it was at one moment.
struct ConfigurationFile: Sendable {
    let path: String
    let bytes: [UInt8]

    /// Far more than any configuration has.
    private static let sizeLimit = 1 << 20

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    init(_ path: String) throws {
        self.path = path
        do {
            bytes = try Self.bytes(of: path)
        } catch {
            throw Failure(description: "--config: \(path): \(error)")
        }
    }

    func read() throws -> KubeProxyConfiguration.Reading {
        do {
            var documents: [JSONValue] = []
            try bytes.withUnsafeBufferPointer { buffer in
                try YAMLConverter.forEachDocument(of: buffer) { json, _ in
                    documents.append(try JSONValue(parsing: json.span))
                }
            }
            guard documents.count == 1 else {
                throw Failure(description: "expected one document, found \(documents.count)")
            }
            return try KubeProxyConfiguration.read(documents[0])
        } catch {
            throw Failure(description: "--config: \(path): \(error)")
        }
    }

    static func bytes(of path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Failure(description: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(description: String(cString: strerror(errno))) }
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= sizeLimit else {
                throw Failure(description: "larger than \(sizeLimit >> 20) MiB")
            }
        }
    }

    /// Replaces the file in one step, for its owner alone to write.
    static func write(_ configuration: KubeProxyConfiguration, to path: String) throws {
        do {
            try Data(configuration.withDefaults.yaml.utf8).write(to: URL(filePath: path), options: .atomic)
        } catch {
            throw Failure(description: "--write-config-to: \(path): \(error)")
        }
    }
}
