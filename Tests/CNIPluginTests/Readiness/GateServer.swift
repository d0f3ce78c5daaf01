import Foundation
import Testing

/// A web server on the host of a bench; what it answers for `/NAME` stands in a file of that name.
final class GateServer {
    private let process = Process()
    private let directory: String
    let port: Int

    private static let script = """
        import http.server, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.split("?")[0].strip("/")
                open(f"{sys.argv[1]}/asked", "a").write(self.path + "\\n")
                status = int(open(f"{sys.argv[1]}/{name}").read())
                self.send_response(status)
                if status // 100 == 3: self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            def log_message(self, *_): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        print(server.server_port, flush=True)
        server.serve_forever()
        """

    init(_ bench: Bench, _ answers: [String: Int]) throws {
        directory = bench.directory + "/gates"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = ["--net=/run/netns/\(bench.name)", "/usr/bin/python3", "-c", Self.script, directory]
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        for (name, status) in answers {
            try "\(status)".write(toFile: directory + "/" + name, atomically: true, encoding: .utf8)
        }
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    // It has the signals blocked that the thread had which started it.
    deinit { kill(process.processIdentifier, SIGKILL) }

    func answer(_ name: String, with status: Int) throws {
        try "\(status)".write(toFile: directory + "/" + name, atomically: true, encoding: .utf8)
    }

    func url(_ target: String) -> String { "http://127.0.0.1:\(port)/\(target)" }

    /// What it was asked for, in order.
    var asked: [String] {
        let text = (try? String(contentsOfFile: directory + "/asked", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    /// The member of a configuration that names some of its pages.
    func member(_ targets: String...) -> String {
        #", "readiness_gates": [\#(targets.map { "\"\(url($0))\"" }.joined(separator: ", "))]"#
    }
}
