import Foundation
import Glibc
import Netlink
import NetworkTypes
import Synchronization
import TestSupport

/// Opens connections at a steady rate, asks something on each, and checks the answer.
final class PacedLoad: Sendable {
    struct Outcome: Sendable {
        /// Connections that were tried.
        var dialled = 0
        /// What went wrong, with the time from the start.
        var failures: [String] = []
        /// How often each endpoint answered.
        var answers: [String: Int] = [:]
        /// Connections whose first packet had to be sent again, as it was lost.
        var retransmissions = 0
        var slowest = Duration.zero
        var elapsed = Duration.zero
    }

    private let namespace: NetworkNamespace
    private let address: IPAddress
    private let port: UInt16
    private let interval: Duration
    private let start = ContinuousClock.now
    private let next = Atomic(0)
    private let isStopped = Atomic(false)
    private let outcome = Mutex(Outcome())
    private let done = DispatchSemaphore(value: 0)

    /// Enough that none of them, waiting for its answer, keeps the next connection from being on time.
    private static let workers = 24

    init(from namespace: NetworkNamespace, to address: IPAddress, port: UInt16, perSecond: Int) {
        self.namespace = namespace
        self.address = address
        self.port = port
        interval = .seconds(1) / perSecond
        for _ in 0..<Self.workers {
            Thread.detachNewThread { [self] in
                work()
                done.signal()
            }
        }
    }

    var dialled: Int { outcome.withLock(\.dialled) }
    var failures: Int { outcome.withLock(\.failures.count) }

    func stop() -> Outcome {
        isStopped.store(true, ordering: .relaxed)
        for _ in 0..<Self.workers { done.wait() }
        return outcome.withLock { outcome in
            outcome.elapsed = ContinuousClock.now - start
            return outcome
        }
    }

    private func work() {
        while true {
            let number = next.add(1, ordering: .relaxed).oldValue
            let wait = start + interval * number - .now
            if wait > .zero { usleep(UInt32(wait / .microseconds(1))) }
            guard !isStopped.load(ordering: .relaxed) else { return }
            let begin = ContinuousClock.now
            let result = Result { try exchange("question \(number)") }
            let now = ContinuousClock.now
            outcome.withLock { outcome in
                outcome.dialled += 1
                outcome.slowest = max(outcome.slowest, now - begin)
                switch result {
                case .success(let (endpoint, isRetransmitted)):
                    outcome.answers[endpoint, default: 0] += 1
                    if isRetransmitted { outcome.retransmissions += 1 }
                case .failure(let error): outcome.failures.append("after \(now - start): \(error)")
                }
            }
        }
    }

    private struct WrongAnswer: Error {
        let text: String
    }

    /// Who answered, and whether the connection had to be asked for more than once.
    private func exchange(_ question: String) throws -> (endpoint: String, isRetransmitted: Bool) {
        let any: IPAddress = address.family == .ipv4 ? .v4(.unspecified) : .v6(.unspecified)
        let socket = try TestSocket(.tcp, in: namespace, bound: any, timeout: 10_000)
        try socket.connect(to: address, port: port)
        let isRetransmitted = Self.retransmissions(socket) > 0
        try socket.send(question)
        let answer = try socket.receive()
        let words = answer.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[1] == question else { throw WrongAnswer(text: answer) }
        return (String(words[0]), isRetransmitted)
    }

    /// `tcpi_total_retrans` of linux/tcp.h.
    private static func retransmissions(_ socket: TestSocket) -> UInt32 {
        var info = [UInt32](repeating: 0, count: 26)
        var length = socklen_t(info.count * 4)
        guard getsockopt(socket.descriptor, Int32(IPPROTO_TCP), TCP_INFO, &info, &length) == 0 else { return 0 }
        return info[25]
    }
}

extension PacedLoad.Outcome: CustomStringConvertible {
    var description: String {
        """
        \(dialled) connections in \(elapsed), \(failures.count) failures, \(retransmissions) sent again, \
        the slowest took \(slowest), \(answers.count) endpoints answered; \(failures.prefix(5))
        """
    }
}
