import IPAM
import Testing

@testable import Reports

@Suite struct TableTests {
    @Test func everyColumnIsAsWideAsItsWidestCell() {
        var table = Table([.init("IP"), .init("COUNT", .right)])
        table.add(["10.0.0.1", "7"])
        table.add(["fd00::1", "123456"])
        #expect(
            table.text == """
                +----------+--------+
                | IP       | COUNT  |
                +----------+--------+
                | 10.0.0.1 |      7 |
                | fd00::1  | 123456 |
                +----------+--------+

                """
        )
    }

    @Test func aTableWithoutRowsIsItsHeading() {
        #expect(
            Table([.init("A")]).text == """
                +---+
                | A |
                +---+
                +---+

                """
        )
    }

    @Test func missingCellsAreEmptyAndExtraOnesDropped() {
        var table = Table([.init("A"), .init("B")])
        table.add(["1"])
        table.add(["1", "2", "3"])
        #expect(table.rows == [["1", ""], ["1", "2"]])
    }
}

@Suite struct AddressCountsTests {
    @Test(
        arguments: [
            (0, "0"), (64, "64"), (65536, "65536"), (99999, "99999"), (100_000, "1e+05"), (131_072, "1.3107e+05"),
            (1_048_576, "1.0486e+06"), (1.208_925_819_614_629_2e24, "1.2089e+24"), (123_455, "1.2346e+05"),
        ] as [(Double, String)]
    )
    func fiveSignificantDigits(_ count: Double, _ text: String) {
        #expect(AddressCounts.text(count) == text)
    }

    @Test(
        arguments: [
            (67, 65536, "67 (0%)"), (65213, 65536, "65213 (100%)"), (3, 64, "3 (5%)"), (2, 64, "2 (3%)"),
            (3, 8, "3 (38%)"), (1, 8, "1 (12%)"), (5, 8, "5 (62%)"), (7, 8, "7 (88%)"), (1, 200, "1 (0%)"),
            (3, 200, "3 (2%)"), (0, 0, "0 (0%)"), (64, 64, "64 (100%)"),
        ] as [(Double, Double, String)]
    )
    func percentagesAreRoundedHalfToEven(_ count: Double, _ total: Double, _ text: String) {
        #expect(AddressCounts.text(count, of: total) == text)
    }
}
