import Testing

@testable import ServiceProxy

@Suite struct CommitPaceTests {
    @Test func onlyCommitsThatFollowEachOtherWait() {
        let start = ContinuousClock.now
        var pace = CommitPace(minimumInterval: .seconds(1))
        #expect(pace.wait(at: start) == nil)
        pace.committed(at: start)
        #expect(pace.wait(at: start) == .seconds(1))
        #expect(pace.wait(at: start + .milliseconds(400)) == .milliseconds(600))
        // Long idle: at once.
        #expect(pace.wait(at: start + .seconds(1)) == nil)
        #expect(pace.wait(at: start + .seconds(60)) == nil)
    }

    @Test func withoutAnIntervalNothingWaits() {
        var pace = CommitPace(minimumInterval: .zero)
        pace.committed(at: .now)
        #expect(pace.wait(at: .now) == nil)
    }
}
