import Glibc

/// The last resort against a verb that hangs where no deadline is looked at, as in a system call on a dead disk (C11):
/// it answers code 11 and ends the process. What was half made then is cleaned by the DEL that follows a failed ADD.
enum Watchdog {
    /// For reading stdin, which a runtime writes at once and closes.
    static func startForInput() {
        signal(SIGALRM) { _ in
            Watchdog.give(
                #"{"cniVersion":"1.1.0","code":5,"msg":"the network configuration on stdin did not end within 10 seconds"}"#
            )
        }
        alarm(10)
    }

    /// For a verb that changes something: it is ended when it should have ended by itself long ago, but not by SIGTERM in
    /// the middle of its work, which takes milliseconds. (SIGKILL may come at any time; see the DEL that follows.)
    ///
    /// - Parameter limit: what the verb gives itself.
    static func startForChanges(after limit: Duration = .seconds(50)) {
        signal(SIGTERM, SIG_IGN)
        start(seconds: UInt32(clamping: limit.components.seconds + 5))
    }

    /// For STATUS, which is to answer within two seconds, whatever it is that is slow.
    static func startForStatus() {
        signal(SIGALRM) { _ in
            Watchdog.give(#"{"cniVersion":"1.1.0","code":50,"msg":"the node or its store is too slow to answer"}"#)
        }
        alarm(2)
    }

    private static func start(seconds: UInt32) {
        signal(SIGALRM) { _ in
            Watchdog.give(
                #"{"cniVersion":"1.1.0","code":11,"msg":"the plugin hung and gave up; the node's disk or kernel is stuck"}"#
            )
        }
        alarm(seconds)
    }

    /// Only what is safe in a signal handler: constant text, write and _exit.
    private static func give(_ answer: StaticString) {
        _ = write(STDOUT_FILENO, answer.utf8Start, answer.utf8CodeUnitCount)
        _exit(1)
    }
}
