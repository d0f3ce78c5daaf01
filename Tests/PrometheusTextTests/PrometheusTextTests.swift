import TestSupport
import Testing

@testable import PrometheusText

@Suite struct PrometheusTextTests {
    @Test func familiesAreWrittenByName() {
        let text = MetricFamily.text([
            MetricFamily("zebras", .gauge, "How many zebras", 3),
            MetricFamily(
                "ants_total",
                .counter,
                "Ants \\ seen\nso far",
                stability: .alpha,
                [MetricSample(1, ["nest": "a\"b\\c\nd", "size": "ä"]), MetricSample(2.5)]
            ),
            MetricFamily("nothing", .gauge, "Is not there", []),
        ])
        #expect(
            text == #"""
                # HELP ants_total [ALPHA] Ants \\ seen\nso far
                # TYPE ants_total counter
                ants_total{nest="a\"b\\c\nd",size="ä"} 1
                ants_total 2.5
                # HELP zebras How many zebras
                # TYPE zebras gauge
                zebras 3

                """#
        )
    }

    @Test(
        arguments: [
            (0, "0"), (-3, "-3"), (0.25, "0.25"), (1_732_525_200.5, "1732525200.5"), (1e300, "1e+300"), (.nan, "NaN"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (0.000_01, "1e-05"),
        ] as [(Double, String)]
    )
    func numbers(_ value: Double, _ text: String) {
        #expect(MetricFamily.text(value) == text)
        if !value.isNaN, value.isFinite { #expect(Double(text) == value) }
    }

    @Test func aHistogramSumsItsBucketsUp() throws {
        var histogram = Histogram(bounds: Histogram.linearBounds(start: 1, width: 1, count: 3))
        for value in [0.5, 1, 1.5, 3, 99] { histogram.observe(value) }
        histogram.observe(Duration.milliseconds(2500))
        let text = MetricFamily.text([
            MetricFamily("h", .histogram, "Sizes", histogram.samples(["a": "b"]))
        ])
        let read = try PrometheusReader(text)
        let counts = ["1": 2, "2": 3, "3": 5, "+Inf": 6]
        for (bound, count) in counts { #expect(read.value("h_bucket", ["a": "b", "le": bound]) == Double(count)) }
        #expect(read.value("h_count") == 6)
        #expect(read.value("h_sum") == 107.5)
        #expect(histogram.count == 6)
        #expect(Histogram.exponentialBounds(start: 0.001, factor: 2, count: 3) == [0.001, 0.002, 0.004])
    }

    @Test func theReaderOfTheTestsIsStrict() {
        for bad in [
            "a 1\n", "# HELP a b\na 1\n", "# HELP a b\n# TYPE a gauge\na 1", "# HELP a b\n# TYPE a gauge\nb 1\n",
            "# HELP a b\n# TYPE a gauge\na{b=c} 1\n", "# HELP a b\n# TYPE a gauge\na 1\na 2\n",
            "# HELP a b\n# TYPE a counter\na 1\n", "# HELP a b\n# TYPE a gauge\na x\n",
            "# HELP a b\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n",
        ] {
            #expect(throws: PrometheusReader.Fault.self, "\(bad)") { try PrometheusReader(bad) }
        }
    }
}
