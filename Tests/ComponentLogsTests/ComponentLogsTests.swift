import Glibc
import Logging
import Synchronization
import Testing

@testable import ComponentLogs

@Suite struct ComponentLogsTests {
    private let time = LogTime(
        timespec(tv_sec: 1_764_058_443, tv_nsec: 1_200_345),
        local: tm(
            tm_sec: 3,
            tm_min: 14,
            tm_hour: 8,
            tm_mday: 5,
            tm_mon: 10,
            tm_year: 125,
            tm_wday: 2,
            tm_yday: 328,
            tm_isdst: 0,
            tm_gmtoff: 0,
            tm_zone: nil
        )
    )

    private func line(
        _ level: Logger.Level,
        _ message: String = "said",
        _ fields: [(String, Logger.MetadataValue)] = []
    ) -> LogLine {
        LogLine(level: level, message: message, fields: fields, caller: "Here.swift:12", time: time, processID: 1234)
    }

    @Test func textIsThatOfKlog() {
        let fields: [(String, Logger.MetadataValue)] = [
            ("count", "3"), ("name", "a \"b\"\n\u{1}"), ("list", ["x", "4"]), ("odd", "007-"),
        ]
        #expect(
            line(.info, "it \"works\"", fields).text
                == #"I1105 08:14:03.001200    1234 Here.swift:12] "it \"works\"" count=3 name="a \"b\"\n\x01" "#
                + #"list=["x",4] odd="007-""# + "\n"
        )
        #expect(line(.debug).text.hasPrefix("I1105 "))
        #expect(line(.warning).text.hasPrefix("W1105 "))
        #expect(line(.error).text.hasPrefix("E1105 "))
    }

    @Test func jsonIsThatOfComponents() {
        let fields: [(String, Logger.MetadataValue)] = [
            ("error", "no room"), ("count", "3"), ("ts", "7"), ("id", "007"), ("list", ["x"]), ("map", ["b": "1"]),
        ]
        #expect(
            line(.error, "no", fields).json
                == #"{"ts":1764058443001.200,"caller":"Here.swift:12","msg":"no","err":"no room","count":3,"id":"007","#
                + #""list":["x"],"map":{"b":1}}"# + "\n"
        )
        #expect(line(.info).json.contains(#""msg":"said","v":0}"#))
        #expect(line(.debug).json.contains(#""msg":"said","v":2}"#))
        #expect(line(.trace).json.contains(#""msg":"said","v":4}"#))
        #expect(line(.warning).json.contains(#""v":0,"level":"warning"}"#))
    }

    private final class Sink: Sendable {
        let lines = Mutex<[String]>([])
    }

    @Test func verbosityCanBeChangedForLoggersThatExist() {
        let sink = Sink()
        let verbosity = Verbosity(0)
        let logger = Logger(label: "test") { _ in
            ComponentLogHandler(.text, verbosity) { line in sink.lines.withLock { $0.append(line) } }
        }
        var loud = logger
        loud.logLevel = .trace
        logger.debug("one")
        loud.trace("two")
        verbosity.set(2)
        logger.debug("three", metadata: ["a": "b"])
        logger.trace("four")
        verbosity.set(4)
        logger.trace("five")
        verbosity.set(0)
        logger.debug("six")
        let lines = sink.lines.withLock { $0 }
        #expect(lines.count == 3)
        #expect(lines[0].contains("\"two\""))
        #expect(lines[1].contains("ComponentLogsTests.swift:"))
        #expect(lines[1].hasSuffix("] \"three\" a=\"b\"\n"))
        #expect(lines[2].contains("\"five\""))
    }
}
