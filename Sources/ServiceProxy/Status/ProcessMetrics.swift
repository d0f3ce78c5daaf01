import Glibc
import PrometheusText

/// The metrics that every process of a cluster has: `process_*`, as the Prometheus clients define them.
public struct ProcessMetrics: Hashable, Sendable {
    /// Seconds of CPU, in user and kernel mode.
    var cpuSeconds: Double
    var virtualBytes: Double
    var residentBytes: Double
    /// Seconds since 1970.
    var startSeconds: Double
    var openFiles: Int?
    var maxFiles: Double
    var maxVirtualBytes: Double

    /// - Parameters:
    ///   - stat: `/proc/self/stat`.
    ///   - bootSeconds: when the machine was started, since 1970.
    /// - Returns: `nil` when the text is none of that file.
    init?(
        stat: String,
        bootSeconds: Double,
        ticksPerSecond: Double,
        pageSize: Double,
        openFiles: Int?,
        maxFiles: Double,
        maxVirtualBytes: Double
    ) {
        // The name of the program, in parentheses, may hold anything.
        guard let end = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[stat.index(after: end)...].split { $0.isWhitespace }.map { Double($0) ?? 0 }
        guard fields.count > 21 else { return nil }
        cpuSeconds = (fields[11] + fields[12]) / ticksPerSecond
        startSeconds = bootSeconds + fields[19] / ticksPerSecond
        virtualBytes = fields[20]
        residentBytes = fields[21] * pageSize
        self.openFiles = openFiles
        self.maxFiles = maxFiles
        self.maxVirtualBytes = maxVirtualBytes
    }

    /// Those of this process; `nil` without `/proc`.
    public static func current() -> ProcessMetrics? {
        let boot = LocalNode.text(of: "/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }
        return ProcessMetrics(
            stat: LocalNode.text(of: "/proc/self/stat"),
            bootSeconds: boot.flatMap { Double($0.dropFirst(6)) } ?? 0,
            ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
            pageSize: Double(sysconf(Int32(_SC_PAGESIZE))),
            openFiles: openFileCount(),
            maxFiles: limit(RLIMIT_NOFILE),
            maxVirtualBytes: limit(RLIMIT_AS)
        )
    }

    private static func limit(_ resource: __rlimit_resource) -> Double {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else { return -1 }
        return limit.rlim_cur == rlim_t.max ? .infinity : Double(limit.rlim_cur)
    }

    private static func openFileCount() -> Int? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return max(0, count - 3)  // `.`, `..`, and the directory itself.
    }

    public var families: [MetricFamily] {
        [
            MetricFamily("process_cpu_seconds_total", .counter, "Seconds of CPU that were used", cpuSeconds),
            MetricFamily(
                "process_open_fds",
                .gauge,
                "Open file descriptors",
                openFiles.map { [MetricSample($0)] } ?? []
            ),
            MetricFamily("process_max_fds", .gauge, "The most file descriptors that may be open", maxFiles),
            MetricFamily("process_virtual_memory_bytes", .gauge, "Size of the virtual memory", virtualBytes),
            MetricFamily("process_virtual_memory_max_bytes", .gauge, "The most virtual memory", maxVirtualBytes),
            MetricFamily("process_resident_memory_bytes", .gauge, "Size of the resident memory", residentBytes),
            MetricFamily("process_start_time_seconds", .gauge, "When the process was started", startSeconds),
        ]
    }
}
