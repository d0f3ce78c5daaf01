import Foundation
import Subprocesses
import TestSupport
import Testing

/// Real programs, run to their end or to ours.
@Suite(.timeLimit(.minutes(2)))
struct SubprocessTests {
    private func shell(
        _ script: String,
        input: [UInt8]? = nil,
        timeout: Duration = .seconds(60),
        outputLimit: Int = 16 << 20,
        errors: Subprocess.Errors = .discarded
    ) -> Subprocess {
        Subprocess(
            command: "sh",
            arguments: ["-c", script],
            environment: ["PATH": "/usr/bin:/bin"],
            input: input,
            timeout: timeout,
            outputLimit: outputLimit,
            errors: errors
        )
    }

    private func output(_ program: Subprocess) async throws -> String {
        String(decoding: try await program.run(), as: UTF8.self)
    }

    /// A socket cannot be opened by its path, as shell programs open what they read.
    @Test func theInputCanBeOpenedByItsPath() async throws {
        #expect(try await output(shell("cat /dev/stdin; cat </proc/self/fd/0", input: Array("text".utf8))) == "text")
        #expect(try await output(shell("cat")) == "")
        #expect(try await output(shell("cat", input: [])) == "")
    }

    @Test func muchGoesInAndOutAtOnce() async throws {
        let text = [UInt8](repeating: UInt8(ascii: "x"), count: 3 << 20)
        #expect(try await shell("cat; cat", input: text).run() == text)
        #expect(try shell("cat", input: text).endOnCallingThread() == .init(status: 0, output: text))
    }

    /// Nor does the signal that comes of it end us, or stay behind.
    @Test func whatIsNotReadIsNoFailure() async throws {
        let text = [UInt8](repeating: 0, count: 3 << 20)
        #expect(
            try await shell("echo done; exit 3", input: text).end() == .init(status: 3, output: Array("done\n".utf8))
        )
        #expect(try shell("exec <&-; sleep 0.2", input: text).endOnCallingThread().status == 0)
        var pending = sigset_t()
        sigpending(&pending)
        #expect(sigismember(&pending, SIGPIPE) == 0)
    }

    @Test func theErrorOutputGoesWhereItShall() async throws {
        let script = "echo out; echo err >&2"
        #expect(try await output(shell(script)) == "out\n")
        #expect(try await output(shell(script, errors: .kept)) == "out\nerr\n")
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/2")
        #expect(try await output(shell("readlink /proc/self/fd/2", errors: .inherited)) == own + "\n")
    }

    @Test func howItEnds() async throws {
        #expect(try await shell("echo no; exit 7").end() == .init(status: 7, output: Array("no\n".utf8)))
        await #expect(throws: Subprocess.Failure.status(7)) { try await shell("exit 7").run() }
        await #expect(throws: Subprocess.Failure.signal(9)) { try await shell("kill -9 $$").end() }
        await #expect(throws: Subprocess.Failure.tooMuchOutput) { try await shell("yes", outputLimit: 1000).end() }
        for name in ["no-such-program", "/no/such/program"] {
            let missing = Subprocess(command: name, environment: [:], timeout: .seconds(9), outputLimit: 1)
            await #expect(throws: Subprocess.Failure.notFound) { try await missing.end() }
        }
        let directory = Subprocess(command: "/usr", environment: [:], timeout: .seconds(9), outputLimit: 1)
        await #expect(throws: Subprocess.Failure.notStarted("Permission denied")) { try await directory.end() }
    }

    /// Also what holds the output open after its parent has ended, and what has closed it.
    @Test(arguments: [
        "sleep 300 & echo $! >$PIDS; sleep 300", "sleep 300 & echo $! >$PIDS",
        "exec >&-; sleep 300 & echo $! >$PIDS; sleep 300", "trap '' TERM; sleep 300 & echo $! >$PIDS; cat /dev/zero",
    ])
    func whatHangsIsEndedWithItsChildren(_ script: String) async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/child"
        let program = shell("PIDS=\(file); " + script, timeout: .seconds(1), outputLimit: .max)
        await #expect(throws: Subprocess.Failure.timeout) { try await program.end() }
        let child = try #require(pid_t(try String(contentsOfFile: file, encoding: .utf8).dropLast()))
        let deadline = ContinuousClock.now + .seconds(20)
        // Whoever reaps orphans here may take a moment.
        func isGone() -> Bool {
            let status = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)
            return status.map { $0.contains(") Z ") } ?? true
        }
        while !isGone(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(20)) }
        #expect(isGone())
    }

    /// A file that is being installed is busy for a moment.
    @Test func aBusyFileIsTriedAgain() async throws {
        let directory = try TemporaryDirectory()
        let file = directory.path + "/true"
        try FileManager.default.copyItem(atPath: "/bin/true", toPath: file)
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        #expect(descriptor >= 0)
        let program = Subprocess(command: file, environment: [:], timeout: .seconds(60), outputLimit: 1)
        await #expect(throws: Subprocess.Failure.notStarted("Text file busy")) { try await program.end() }
        Thread {
            usleep(200_000)
            close(descriptor)
        }.start()
        #expect(try await program.end().status == 0)
    }

    @Test func manyAtOnceKeepTheirStreamsApart() async throws {
        try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for number in 0..<24 {
                let program = shell("cat; echo -\(number)", input: Array("\(number)".utf8))
                group.addTask { (number, try await output(program)) }
            }
            for try await (number, text) in group { #expect(text == "\(number)-\(number)\n") }
        }
    }
}
