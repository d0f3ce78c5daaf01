import Foundation
import NIOCore
import NIOHTTP1
import Testing

@testable import KubernetesClient

/// What a real kube-apiserver answers when it does not do what it was asked.
struct RecordedErrorTests {
    private static let directory = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("../shared/recordings").standardizedFileURL.path
    private static let found = [directory, "../shared/recordings", "/../shared/recordings"]
        .first { FileManager.default.fileExists(atPath: $0) }

    static let hasRecordings = found != nil

    @Test(
        .enabled(if: hasRecordings, "there are no recordings of a kube-apiserver in ../shared/recordings"),
        arguments: [
            ("30-401-bad-token", KubernetesError.Reason.unauthorized, "Unauthorized"),
            ("30-403-nobody", .forbidden, "services is forbidden"),
            ("30-404-object", .notFound, "services \"nope\" not found"),
            ("30-404-path", .notFound, "404 page not found"),
            ("30-405", .methodNotAllowed, ""), ("30-406", .notAcceptable, ""), ("30-415", .unsupportedMediaType, ""),
            ("30-400-bad-json", .badRequest, ""), ("30-409-exists", .alreadyExists, "already exists"),
            ("30-409-stale-rv", .conflict, "the object has been modified"), ("30-409-uid-precondition", .conflict, ""),
            ("30-422-invalid", .invalid, ""), ("30-429-apf", .tooManyRequests, "Too many requests, please try again"),
            ("30-429-eviction", .tooManyRequests, ""), ("40-apply-conflict", .conflict, ""),
            ("70-410-list-exact", .expired, ""), ("60-pb-404", .notFound, "services \"nope\" not found"),
            ("50-cr-protobuf", .notAcceptable, ""),
            ("10-list-services-future-rv", .unavailable, "Too large resource version"),
        ]
    )
    func recordedErrors(_ name: String, _ reason: KubernetesError.Reason, _ said: String) throws {
        let root = try #require(Self.found)
        let response = try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(name).resp"))
        let body = try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(name).body"))
        let head = String(decoding: response, as: UTF8.self).components(separatedBy: "\r\n\r\n")[0]
            .components(separatedBy: "\r\n")
        var headers = HTTPHeaders()
        for line in head.dropFirst() {
            let parts = line.components(separatedBy: ": ")
            headers.add(name: parts[0], value: parts.dropFirst().joined(separator: ": "))
        }
        let code = try #require(Int(head[0].split(separator: " ")[1]))
        let method: HTTPMethod = name.contains("409-exists") ? .POST : .GET
        let error = KubernetesError(
            ResourceRequest(method, .services),
            server: "https://s",
            code: code,
            headers: headers,
            body: ByteBuffer(bytes: body)
        )
        #expect(error.reason == reason)
        #expect(said.isEmpty || error.message.contains(said), "\(error.message)")
        #expect((error.status == nil) == ["30-404-path", "30-429-apf"].contains(name))
        #expect(error.status.map { $0.code == code && $0.status == "Failure" } ?? true)
        if headers.contains(name: "Retry-After") { #expect(error.retryAfter != nil) }
    }
}
