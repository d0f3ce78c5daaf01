import CLinux
import Glibc
import Synchronization

/// What is told that a descriptor is ready. A class, so that a slot of the loop is one reference and a call is direct.
class EventHandler {
    func ready(_ descriptor: Int32, _ events: Readiness, on loop: EventLoop) {}

    /// The time asked for with ``EventLoop/watch(_:in:)`` has passed.
    func timedOut(_ descriptor: Int32, on loop: EventLoop) {}
}

/// A thread that waits with epoll(7) for many descriptors and tells their handlers.
///
/// Everything but ``perform(_:)`` and ``run(_:)`` belongs to the loop's own thread. Handlers of one connection are all on
/// one loop, so that they need no locks.
final class EventLoop: @unchecked Sendable {
    typealias Work = @Sendable (EventLoop) -> Void

    private struct Slot {
        var handler: EventHandler?
        /// Counts the uses of the descriptor's number, so that what was said of an earlier use is not taken for this one's.
        var generation: UInt32 = 0
        /// Whether its handler is to have another turn.
        var isQueued = false
    }

    private struct Mailbox {
        var work: [Work] = []
        var isClosed = false
    }

    /// For reading into: one for all descriptors, as what is read is passed on or copied before the next read.
    let buffer: UnsafeMutableRawBufferPointer
    /// When the loop woke up last.
    private(set) var now = ContinuousClock.now
    var random = SystemRandomNumberGenerator()

    private let epoll: Int32
    private let wakeUp: Int32
    private var slots: [Slot] = []
    private var again: [(descriptor: Int32, generation: UInt32)] = []
    private var timeouts: [Timeout: TimeoutQueue] = [:]
    private var scheduled: [(due: ContinuousClock.Instant, work: Work)] = []
    private var isStopping = false
    private let mailbox = Mutex(Mailbox())

    /// - Parameter bufferSize: in bytes; what one read takes at most, and a connection holds at most in each direction.
    init(bufferSize: Int) throws {
        epoll = try SystemCallError.check("epoll_create1", epoll_create1(Int32(EPOLL_CLOEXEC)))
        do {
            wakeUp = try SystemCallError.check("eventfd", eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)))
        } catch {
            close(epoll)
            throw error
        }
        buffer = .allocate(byteCount: bufferSize, alignment: 4096)
        var event = epoll_event(events: Readiness.readable.rawValue, data: epoll_data_t(u64: UInt64(wakeUp)))
        epoll_ctl(epoll, EPOLL_CTL_ADD, wakeUp, &event)
    }

    deinit {
        close(epoll)
        close(wakeUp)
        buffer.deallocate()
    }

    // MARK: From any thread

    /// Has the loop do something soon; nothing after it has stopped.
    func perform(_ work: @escaping Work) {
        let isFirst = mailbox.withLock { mailbox in
            guard !mailbox.isClosed else { return false }
            mailbox.work.append(work)
            return mailbox.work.count == 1
        }
        if isFirst { eventfd_write(wakeUp, 1) }
    }

    /// Does something on the loop and waits for what comes of it.
    func run<Value: Sendable>(_ body: @escaping @Sendable (EventLoop) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let isOpen = mailbox.withLock { mailbox in
                guard !mailbox.isClosed else { return false }
                mailbox.work.append { loop in continuation.resume(with: Result { try body(loop) }) }
                return true
            }
            if isOpen {
                eventfd_write(wakeUp, 1)
            } else {
                continuation.resume(throwing: LoadBalancerError.stopped)
            }
        }
    }

    // MARK: On its thread

    /// Tells the handler of a descriptor from now on, until ``forget(_:)``.
    func add(_ descriptor: Int32, _ interest: Readiness, _ handler: EventHandler) throws(SystemCallError) {
        let index = Int(descriptor)
        if index >= slots.count {
            slots.append(contentsOf: repeatElement(Slot(), count: max(64, index + 1 - slots.count, slots.count / 2)))
        }
        let generation = slots[index].generation &+ 1
        let data = UInt64(UInt32(bitPattern: descriptor)) | UInt64(generation) << 32
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: data))
        // When it is refused, the descriptor may be in use here: its slot then stays as it was.
        try SystemCallError.check("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event))
        slots[index] = Slot(handler: handler, generation: generation)
    }

    /// To be called before a descriptor that was added is closed, which takes it from epoll's list.
    func forget(_ descriptor: Int32) {
        let index = Int(descriptor)
        guard slots.indices.contains(index) else { return }
        slots[index] = Slot(generation: slots[index].generation &+ 1)
    }

    /// As ``forget(_:)``, of a descriptor that stays open.
    func remove(_ descriptor: Int32) {
        guard slots.indices.contains(Int(descriptor)), slots[Int(descriptor)].handler != nil else { return }
        forget(descriptor)
        var event = epoll_event()
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    }

    /// Tells the handler again after the others had their turn, as it has not done all that it could.
    func resume(_ descriptor: Int32) {
        let index = Int(descriptor)
        guard !slots[index].isQueued else { return }
        slots[index].isQueued = true
        again.append((descriptor, slots[index].generation))
    }

    /// Tells the handler when a time has passed, if it still has the descriptor then.
    func watch(_ descriptor: Int32, in timeout: Timeout) {
        timeouts[timeout, default: TimeoutQueue()].append(
            descriptor,
            slots[Int(descriptor)].generation,
            due: now + timeout.duration
        )
    }

    /// Does something later, if the loop still runs then. For what happens seldom.
    func schedule(after delay: Duration, _ work: @escaping Work) {
        scheduled.append((now + delay, work))
    }

    /// The handlers of all descriptors.
    var handlers: [EventHandler] { slots.compactMap(\.handler) }

    func stop() { isStopping = true }

    /// The body of the loop's thread.
    func run() {
        let capacity = 256
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: capacity)
        defer { events.deallocate() }
        while !isStopping {
            let count = epoll_wait(epoll, events, Int32(capacity), again.isEmpty ? waitingTime : 0)
            now = .now
            for index in 0..<max(0, Int(count)) {
                let data = events[index].data.u64
                let descriptor = Int32(truncatingIfNeeded: data)
                if descriptor == wakeUp {
                    var value: eventfd_t = 0
                    eventfd_read(wakeUp, &value)
                    continue
                }
                let slot = slots[Int(descriptor)]
                guard let handler = slot.handler, slot.generation == UInt32(data >> 32) else { continue }
                handler.ready(descriptor, Readiness(rawValue: events[index].events), on: self)
            }
            takeTurns()
            expire()
            let work = mailbox.withLock { mailbox in
                defer { if !mailbox.work.isEmpty { mailbox.work = [] } }
                return mailbox.work
            }
            for item in work { item(self) }
        }
        let rest = mailbox.withLock { mailbox in
            mailbox.isClosed = true
            return mailbox.work
        }
        for item in rest { item(self) }
        for index in slots.indices { slots[index].handler = nil }
    }

    private func takeTurns() {
        guard !again.isEmpty else { return }
        let turns = again
        again.removeAll(keepingCapacity: true)
        for turn in turns {
            let slot = slots[Int(turn.descriptor)]
            guard let handler = slot.handler, slot.generation == turn.generation else { continue }
            slots[Int(turn.descriptor)].isQueued = false
            handler.ready(turn.descriptor, [], on: self)
        }
    }

    /// In milliseconds, until something times out; -1 without an end.
    private var waitingTime: Int32 {
        let dues = timeouts.values.compactMap(\.nextDue) + scheduled.map(\.due)
        guard let due = dues.min() else { return -1 }
        let (seconds, attoseconds) = (due - now).components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1
        return Int32(min(max(milliseconds, 0), 60_000))
    }

    private func expire() {
        if !scheduled.isEmpty {
            let due = scheduled.filter { $0.due <= now }
            if !due.isEmpty {
                scheduled.removeAll { $0.due <= now }
                for item in due { item.work(self) }
            }
        }
        guard !timeouts.isEmpty else { return }
        for timeout in timeouts.keys {
            while let entry = timeouts[timeout]?.popFirst(dueAt: now) {
                let slot = slots[Int(entry.descriptor)]
                guard let handler = slot.handler, slot.generation == entry.generation else { continue }
                handler.timedOut(entry.descriptor, on: self)
            }
        }
    }
}

/// What epoll says of a descriptor, or is asked about it (EPOLL* of sys/epoll.h).
struct Readiness: OptionSet {
    let rawValue: UInt32

    static let readable = Readiness(rawValue: 0x1)
    static let writable = Readiness(rawValue: 0x4)
    static let error = Readiness(rawValue: 0x8)
    static let hangUp = Readiness(rawValue: 0x10)
    /// The other side sends no more.
    static let ended = Readiness(rawValue: 0x2000)
    /// Of several loops that wait for one descriptor, not all are woken.
    static let exclusive = Readiness(rawValue: 1 << 28)
    /// Only what is new is told.
    static let edges = Readiness(rawValue: 1 << 31)
}
