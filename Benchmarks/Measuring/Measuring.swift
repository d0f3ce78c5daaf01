// Measuring: what benchmarks measure with and how they say it: times, percentiles, memory, programs that are run, figures
// beside their goals. What is measured is not known here.

import Glibc

/// A benchmark that could not be carried out, or whose subject failed.
public struct BenchmarkFailure: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }

    /// A system call that failed just now.
    public init(call: String, _ code: Int32 = errno) {
        self.init("\(call): \(String(cString: strerror(code)))")
    }
}

/// Milliseconds of a clock that only goes forward.
public func monotonicMilliseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
}
