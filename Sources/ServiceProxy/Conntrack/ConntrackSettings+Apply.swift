import Glibc
import Logging
import Netlink

extension ConntrackSettings {
    /// A setting that the kernel does not have as wanted.
    struct Failure: Error, Hashable, CustomStringConvertible {
        let write: Write
        let error: SysctlError

        /// What an operator can do about it.
        var remedy: String {
            let byHand = "write \(write.value) to \(write.setting.path) on the node"
            let waive = "or set \(write.setting.waiver) to leave it alone"
            return switch error.code {
            case ENOENT: "load the kernel module nf_conntrack on the node before the proxy starts, \(waive)"
            case EROFS, EACCES, EPERM, EOPNOTSUPP:
                "\(byHand), or let the proxy write there (as a privileged container of the host's network), \(waive)"
            default: "\(byHand), \(waive)"
            }
        }

        var description: String { "\(error)" }
    }

    /// Sees to it that the kernel has these settings; writes only what differs.
    ///
    /// kube-proxy ends when it cannot write one (3.4-29). But Services work without, so that here each one that could
    /// not be written is named in a warning, with what to do, and the rest is done.
    public func apply(logger: Logger) {
        // Asked for its count, a kernel loads the module that has the settings.
        if !Self.exists(Setting.max.path) {
            _ = try? NetlinkSocket(.netfilter).get(.conntrackCount)
        }
        for failure in apply(below: "", processors: LocalNode.processorCount, logger: logger) {
            logger.warning(
                "a setting of connection tracking stays as it was",
                metadata: [
                    "setting": "\(failure.write.setting.path)", "wanted": "\(failure.write.value)",
                    "reason": "\(errorText(failure.error.code))", "remedy": "\(failure.remedy)",
                ]
            )
        }
    }

    /// - Parameter root: a directory that has the kernel's files; empty for the kernel itself.
    func apply(below root: String, processors: Int, logger: Logger) -> [Failure] {
        let planned = writes(processors: processors) { setting in
            (try? SettingFile(path: root + setting.path).read()).flatMap { Int($0) }
        }
        var failures: [Failure] = []
        for write in planned {
            do throws(SysctlError) {
                try SettingFile(path: root + write.setting.path).write("\(write.value)")
                logger.info(
                    "a setting of connection tracking is written",
                    metadata: ["setting": "\(write.setting.path)", "value": "\(write.value)"]
                )
            } catch {
                failures.append(Failure(write: write, error: error))
            }
        }
        return failures
    }

    private static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
