import Glibc

/// The variables of this process.
enum ProcessEnvironment {
    /// As the kernel has them: nobody here changes them, and C's own list is no place for several threads.
    static func own() -> [String: String] {
        guard let file = fopen("/proc/self/environ", "re") else { return [:] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        var variables: [String: String] = [:]
        for pair in bytes.split(separator: 0) {
            guard let middle = pair.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = String(decoding: pair[..<middle], as: UTF8.self)
            variables[name] = String(decoding: pair[(middle + 1)...], as: UTF8.self)
        }
        return variables
    }
}
