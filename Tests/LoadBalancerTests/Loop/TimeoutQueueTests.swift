import Testing

@testable import LoadBalancer

struct TimeoutQueueTests {
    @Test
    func entriesComeWhenTheyAreDue() {
        var queue = TimeoutQueue()
        let start = ContinuousClock.now
        for number in Int32(0)..<5000 { queue.append(number, 7, due: start + .milliseconds(number)) }
        #expect(queue.nextDue == start)
        var seen: [Int32] = []
        while let entry = queue.popFirst(dueAt: start + .milliseconds(2999)) { seen.append(entry.descriptor) }
        #expect(seen == Array(0..<3000))
        #expect(queue.nextDue == start + .milliseconds(3000))
        while let entry = queue.popFirst(dueAt: start + .seconds(9)) { seen.append(entry.descriptor) }
        #expect(seen == Array(0..<5000) && queue.nextDue == nil)
    }
}
