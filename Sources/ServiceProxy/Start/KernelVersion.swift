import Glibc

/// The version of a kernel, as far as it decides.
struct KernelVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
    let major: Int
    let minor: Int

    /// The oldest one that kube-proxy takes for its nftables mode (2.14), and that this proxy is made for.
    static let oldest = KernelVersion(major: 5, minor: 13)

    init(major: Int, minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// From a release as `uname -r` prints it: `6.1.0-18-amd64`.
    init?(release: String) {
        let numbers = release.split(separator: ".", maxSplits: 2).prefix(2).map { part in
            Int(part.prefix { ("0"..."9").contains($0) })
        }
        guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        self.init(major: major, minor: minor)
    }

    /// That of the kernel that runs; `nil` when it cannot be read.
    static var running: KernelVersion? {
        var names = utsname()
        guard uname(&names) == 0 else { return nil }
        return withUnsafeBytes(of: names.release) { bytes in
            KernelVersion(release: String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
    }

    static func < (left: KernelVersion, right: KernelVersion) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }

    var description: String { "\(major).\(minor)" }
}
