import Glibc

/// The last resort against a verb that hangs where no deadline is looked at, as in a system call on a dead disk (C11):
/// it answers code 11 and ends the process. What was half made then is cleaned by the DEL that follows a failed ADD.
enum Watchdog {
    /// For a verb that changes something: it is ended after 90 seconds, but not by SIGTERM in the middle of its work,
    /// which takes milliseconds. (SIGKILL may come at any time; see the DEL that follows.)
    static func startForChanges() {
        signal(SIGTERM, SIG_IGN)
        start(seconds: 90)
    }

    /// - Parameter seconds: until the process ends; above every deadline that is looked at, below the runtimes' own.
    static func start(seconds: UInt32) {
        // Only what is safe in a signal handler: constant text, write and _exit.
        signal(SIGALRM) { _ in
            let answer: StaticString =
                #"{"cniVersion":"1.1.0","code":11,"msg":"the plugin hung and gave up; the node's disk or kernel is stuck"}"#
            _ = write(STDOUT_FILENO, answer.utf8Start, answer.utf8CodeUnitCount)
            _exit(1)
        }
        alarm(seconds)
    }
}
