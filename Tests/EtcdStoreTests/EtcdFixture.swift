import ClusterClient
import Foundation
import Logging
import NIOCore
import ServerTransport
import TestSupport
import Testing

@testable import EtcdStore

let quiet = Logger(label: "test")

func configuration(_ endpoints: String..., credentials: EtcdCredentials? = nil) throws -> EtcdConfiguration {
    var configuration = try EtcdConfiguration(environment: ["ETCD_ENDPOINTS": endpoints.joined(separator: ",")])
    configuration.credentials = credentials
    return configuration
}

func store(_ endpoints: String..., timeLimit: Duration = .seconds(8)) throws -> EtcdDatastore {
    var configuration = try configuration(endpoints[0])
    configuration.endpoints = endpoints.compactMap { ServerAddress($0, defaultScheme: "http") }
    return try EtcdDatastore(configuration, timeLimit: timeLimit, logger: quiet)
}

extension EtcdDatastore {
    /// Asks etcd for something that no store has to ask for.
    @discardableResult
    func call(_ path: String, _ body: String) async throws -> String {
        do {
            return String(buffer: try await client.send(path, Array(body.utf8)).body)
        } catch {
            throw error.datastoreError
        }
    }
}

func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

let empty = Data("{}".utf8)

/// The error that a store throws; a failure of the test when it does not.
func storeError<Answer>(_ body: () async throws -> Answer) async throws -> DatastoreError {
    do {
        _ = try await body()
    } catch let error as DatastoreError {
        return error
    }
    Issue.record("the store did not throw")
    throw CancellationError()
}

/// Polls until something holds.
func eventually(_ isSo: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(20)
    while try await !isSo() {
        try #require(ContinuousClock.now < deadline, "it did not come to pass in 20 s")
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Passes requests on to a real etcd, except where the test has another reply.
func proxy(
    to server: EtcdServer,
    _ reply: @escaping @Sendable (ScriptedServer.Request, ScriptedServer.Reply) async -> ScriptedServer.Reply
) async throws -> ScriptedServer {
    let address = try #require(ServerAddress(server.endpoint))
    let transport = try ServerTransport(addresses: [address], logger: quiet)
    return try await ScriptedServer { request in
        let forwarded = TransportRequest(.POST, request.path, headers: request.headers, body: request.body)
        guard let response = try? await transport.send(forwarded) else { return .cut }
        return await reply(request, .answer(response.status, Array(response.body.readableBytesView)))
    }
}
