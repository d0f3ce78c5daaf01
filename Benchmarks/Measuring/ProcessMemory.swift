import Glibc

/// A line of /proc/PID/status in MiB, as `VmRSS` or `VmHWM`; 0 when there is none, as of a process that has ended.
public func memory(_ name: String, of process: pid_t = getpid()) -> Double {
    guard let file = fopen("/proc/\(process)/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard text.hasPrefix("\(name):") else { continue }
        return (text.split(whereSeparator: { !$0.isNumber }).first.flatMap { Double($0) } ?? 0) / 1024
    }
    return 0
}
