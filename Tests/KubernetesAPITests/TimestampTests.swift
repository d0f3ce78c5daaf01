import Testing

@testable import KubernetesAPI

@Suite struct TimestampTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-20T08:14:03Z", 1_795_162_443), ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600), ("2026-11-20T08:14:03+02:00", 1_795_155_243),
            ("2100-03-01T00:00:00Z", 4_107_542_400), ("1700-01-01T00:00:00Z", -8_520_336_000),
        ] as [(String, Int64)]
    )
    func seconds(_ text: String, _ seconds: Int64) throws {
        let time = try #require(Timestamp(text))
        #expect(time.seconds == seconds && time.nanoseconds == seconds * 1_000_000_000)
        #expect(Timestamp(time.description) == time)
        if text.hasSuffix("Z") { #expect(time.description == text) }
    }

    @Test func fractionsAreKept() throws {
        let time = try #require(Timestamp("2026-11-20T08:14:03.120045678901Z"))
        #expect(time.nanoseconds % 1_000_000_000 == 120_045_678)
        #expect(time.description == "2026-11-20T08:14:03.120045678Z")
        #expect(time.wholeSecond.description == "2026-11-20T08:14:03Z")
        #expect(Timestamp(nanoseconds: -1).description == "1969-12-31T23:59:59.999999999Z")
    }

    @Test(arguments: [
        "", "2026-11-20", "2026-11-20T08:14:03", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-20T24:00:00Z",
        "2026-11-20T08:60:00Z", "2026-11-20T08:14:03.Z", "2026-11-20T08:14:03ZZ", "0000-00-00T00:00:00Z",
        "9999-01-01T00:00:00Z", "2026-11-20T08:14:03+2:00", "é026-11-20T08:14:03Z",
    ])
    func otherTextsAreNoTimes(_ text: String) {
        #expect(Timestamp(text) == nil)
    }
}
