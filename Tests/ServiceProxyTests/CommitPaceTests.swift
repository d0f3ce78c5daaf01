import Testing

@testable import ServiceProxy

@Suite struct CommitPaceTests {
    @Test func onlyCommitsThatFollowEachOtherWait() {
        let start = ContinuousClock.now
        var pace = CommitPace()
        #expect(pace.wait(at: start) == nil)
        pace.committed(at: start, minimumInterval: .seconds(1))
        #expect(pace.wait(at: start) == .seconds(1))
        #expect(pace.wait(at: start + .milliseconds(400)) == .milliseconds(600))
        // Long idle: at once.
        #expect(pace.wait(at: start + .seconds(1)) == nil)
        #expect(pace.wait(at: start + .seconds(60)) == nil)
    }

    @Test func withoutAnIntervalNothingWaits() {
        var pace = CommitPace()
        pace.committed(at: .now, minimumInterval: .zero)
        #expect(pace.wait(at: .now) == nil)
    }
}
