// Measures the userspace load balancer against haproxy in TCP mode: both pass connections on to the same server on the same
// machine, in turns. The program starts itself for the server and for the load balancer, so that the memory and the
// processor time of each are its own.

import Foundation
import Glibc
import Measuring

/// What the command line asks for.
struct Settings {
    var rounds = 3
    var seconds = 3.0
    var held = 4000
    var haproxy = "/usr/sbin/haproxy"

    init(_ words: [String]) throws {
        var rest = words[...]
        while let word = rest.popFirst() {
            guard let text = rest.popFirst() else { throw BenchmarkFailure("\(word) needs a value") }
            switch word {
            case "--rounds": rounds = try Self.number(text, word)
            case "--seconds": seconds = Double(try Self.number(text, word))
            case "--held": held = try Self.number(text, word)
            case "--haproxy": haproxy = text
            default:
                throw BenchmarkFailure(
                    "\(word) is not known; options: --rounds N, --seconds N, --held N, --haproxy PATH"
                )
            }
        }
    }

    private static func number(_ text: String, _ word: String) throws -> Int {
        guard let number = Int(text), number > 0 else {
            throw BenchmarkFailure("\(word): \(text) is no positive number")
        }
        return number
    }
}

do {
    let words = Array(CommandLine.arguments.dropFirst())
    switch words.first {
    case "server": try Server.run(port: Ports.server)
    case "balance": try await Balance.run(port: Ports.swiftlet, target: Ports.server)
    default: try Comparison(Settings(words)).run()
    }
} catch {
    FileHandle.standardError.write(Data("UserspaceBenchmark: \(error)\n".utf8))
    exit(1)
}
