import CNetfilter
import Foundation
import Glibc
import Synchronization
import Testing

/// A network namespace without a name that lives as long as this object.
final class ScratchNamespace: Sendable {
    /// An open file of the namespace.
    let descriptor: CInt

    init() throws {
        descriptor = try onThread {
            // CLONE_NEWNET
            #expect(unshare(0x4000_0000) == 0)
            return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        }
        try #require(descriptor >= 0)
    }

    deinit { close(descriptor) }

    /// Runs a program in the namespace and returns what it wrote; `nft` and `ip` are for tests alone.
    @discardableResult
    func run(_ command: String, _ arguments: String..., input: String? = nil) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/nsenter")
        process.arguments = ["--net=/proc/\(getpid())/fd/\(descriptor)", command] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        if let input {
            let pipe = Pipe()
            process.standardInput = pipe
            try process.run()
            pipe.fileHandleForWriting.write(Data(input.utf8))
            try pipe.fileHandleForWriting.close()
        } else {
            try process.run()
        }
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(command) \(arguments): \(text)")
        return text
    }

    /// Runs something on a thread of its own inside the namespace.
    func enter<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        try onThread { [descriptor] in
            guard setns(descriptor, 0x4000_0000) == 0 else { throw POSIXError(.EPERM) }
            return try body()
        }
    }
}

/// Runs something on a thread that ends with it, so that what it does to the thread harms nobody.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let box = ResultBox<Value>()
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
        let result = Result { try body() }
        box.result.withLock { $0 = result }
        done.signal()
    }
    done.wait()
    return try #require(box.result.withLock { $0 }).get()
}

private final class ResultBox<Value: Sendable>: Sendable {
    let result = Mutex<Result<Value, any Error>?>(nil)
}

let isRoot = geteuid() == 0
