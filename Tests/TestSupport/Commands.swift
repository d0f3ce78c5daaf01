import Foundation
import Netlink

/// A program that a test ran did not end well.
public struct CommandFailed: Error {
    public let command: String
    public let output: String
}

extension NetworkNamespace {
    /// Runs a program inside the namespace and returns all that it printed.
    @discardableResult
    public func run(_ command: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = ["--net=\(descriptorPath)", command] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CommandFailed(command: command, output: text) }
        return text
    }

    /// Runs `nft`, which only tests do.
    @discardableResult
    public func nft(_ arguments: String...) throws -> String {
        try run("/usr/sbin/nft", arguments)
    }

    /// Runs `ip`, which only tests do.
    @discardableResult
    public func ip(_ arguments: String...) throws -> String {
        try run("/usr/sbin/ip", arguments)
    }
}
