import Foundation
import Testing

/// A request that was sent to a real kube-apiserver 1.36.2, and what came back.
struct Exchange {
    let name: String
    let request: [UInt8]
    let response: HTTPResponse
    /// The body without chunk framing.
    let body: [UInt8]
}

/// The recordings beside the checkout, which not everybody has.
enum Recordings {
    static let directory: String? = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let places = [
            root.appendingPathComponent("../shared/recordings").standardizedFileURL.path, "../shared/recordings",
        ]
        return places.first { FileManager.default.fileExists(atPath: "\($0)/INDEX.md") }
    }()

    static var areThere: Bool { directory != nil }

    /// The names of all exchanges.
    static func names() throws -> Set<String> {
        guard let directory else { return [] }
        let files = try FileManager.default.contentsOfDirectory(atPath: directory)
        return Set(files.filter { $0.hasSuffix(".req") }.map { String($0.dropLast(4)) })
    }

    static func body(_ name: String) throws -> [UInt8] { try bytes("\(name).body") }

    static func exchange(_ name: String) throws -> Exchange {
        Exchange(
            name: name,
            request: try bytes("\(name).req"),
            response: try #require(HTTPResponse(try bytes("\(name).resp")), "\(name).resp is no response"),
            body: try bytes("\(name).body")
        )
    }

    private static func bytes(_ file: String) throws -> [UInt8] {
        let directory = try #require(directory)
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(file)")))
    }
}
