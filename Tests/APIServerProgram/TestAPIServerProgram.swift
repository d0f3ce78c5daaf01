import ArgumentParser
import Dispatch
import FoundationEssentials
import Glibc
import TestAPIServer

/// Runs the test server on its own, for benchmarks, the demo and kubectl.
@main
struct TestAPIServerProgram: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test-apiserver",
        abstract: "A Kubernetes API server in memory, to test against. Stops on SIGINT and SIGTERM."
    )

    @Option(help: "The IP address to listen on.")
    var host = "127.0.0.1"
    @Option(help: "The port to listen on; 0 takes a free one.")
    var port = 0
    @Flag(help: "Serve plain HTTP, without authentication.")
    var plain = false
    @Option(help: "How many Services to make, each with an EndpointSlice.")
    var services = 0
    @Option(help: "How many endpoints each EndpointSlice has.")
    var endpoints = 10
    @Option(help: "How many Nodes the endpoints are spread over; they are made too.")
    var nodes = 3
    @Option(name: .customLong("kubeconfig-out"), help: "Where to write a kubeconfig of an administrator.")
    var kubeconfig: String?
    @Option(help: "A file with objects to start with: YAML, or JSON, one object a line or in a List.")
    var objects: [String] = []
    @Option(help: "A bearer token of an administrator; the kubeconfig has it in place of a certificate.")
    var token: String?
    @Flag(help: "Take further objects from the standard input: JSON, one object a line.")
    var followInput = false
    @Option(help: "A resource not to have, as in endpointslices.discovery.k8s.io.")
    var without: [String] = []
    @Flag(help: "Refuse streaming lists, as servers without the WatchList feature do.")
    var refuseStreamingLists = false
    @Option(help: "How often watches get a bookmark, in seconds.")
    var bookmarkInterval = 60
    @Option(help: "The number of threads that serve.")
    var threads = 1

    func run() async throws {
        var options = TestAPIServer.Options()
        options.host = host
        options.port = port
        options.security = plain ? .plain : .tls
        options.streamingLists = !refuseStreamingLists
        options.bookmarkInterval = .seconds(bookmarkInterval)
        options.threads = threads
        options.missingResources = ResourceType.builtIn.filter { without.contains($0.qualifiedName) }
        if let token { options.tokens[token] = .administrator }
        let server = try await TestAPIServer(options)
        for namespace in ["default", "kube-system"] {
            try server.put(#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"\#(namespace)"}}"#)
        }
        try Workload(services: services, endpoints: endpoints, nodes: nodes).put(into: server)
        for path in objects {
            try server.putAll(String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self))
        }
        server.encodeAll()
        if let kubeconfig { try server.writeKubeconfig(to: kubeconfig, token.map { .token($0) }) }
        print("listening on \(server.url)")
        fflush(nil)
        if followInput { putLines(into: server) }
        await signal()
        await server.stop()
    }

    private func putLines(into server: TestAPIServer) {
        // On a thread of its own, since reading waits.
        DispatchQueue(label: "input").async {
            while let line = readLine() {
                do {
                    try server.put(line)
                } catch {
                    print("not put: \(error)")
                    fflush(nil)
                }
            }
        }
    }

    /// Waits for the signal to stop.
    private func signal() async {
        let signals = [SIGINT, SIGTERM]
        for signal in signals { Glibc.signal(signal, SIG_IGN) }
        let sources = signals.map { DispatchSource.makeSignalSource(signal: $0) }
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        for source in sources {
            source.setEventHandler { continuation.yield() }
            source.resume()
        }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
