import Glibc

/// Why the kernel did not do what was asked.
public struct NetlinkError: Error, Hashable, Sendable {
    public enum Cause: Hashable, Sendable {
        /// The kernel refused, with an error number of `errno.h`.
        case refused(code: Int32)
        /// A system call on the socket failed.
        case systemCall(String, code: Int32)
        /// The request cannot be encoded; nothing was sent.
        case unencodable(String)
        /// The answer is not a valid message.
        case malformed(String)
        /// The kernel's tables kept changing while they were listed.
        case interrupted(attempts: Int)
        /// An answer was longer than the receive buffer and is lost.
        case truncated(bytes: Int)
        /// No answer came.
        case timedOut
        /// The request was acknowledged, but the object that it asks for did not come.
        case noAnswer
    }

    /// What was asked, as `add route 10.80.0.1/32 dev 7`.
    public let request: String
    public let cause: Cause
    /// The kernel's own explanation (NLMSGERR_ATTR_MSG), when it gave one.
    public let kernelText: String?
    /// The attribute that the kernel objects to, or misses, when it named one.
    public let attribute: String?

    public init(request: String, cause: Cause, kernelText: String? = nil, attribute: String? = nil) {
        self.request = request
        self.cause = cause
        self.kernelText = kernelText
        self.attribute = attribute
    }

    /// The error number, when there is one.
    public var code: Int32? {
        switch cause {
        case .refused(let code), .systemCall(_, let code): code
        default: nil
        }
    }

    /// Whether this is the kernel's refusal with that error number.
    public func isRefusal(_ code: Int32) -> Bool { cause == .refused(code: code) }

    /// Whether the caller lacks the rights (usually: is not root, or has no CAP_NET_ADMIN).
    public var isPermission: Bool { code == EPERM || code == EACCES }
}

extension NetlinkError: CustomStringConvertible {
    public var description: String {
        var text = "\(request): "
        switch cause {
        case .refused(let code): text += errorText(code)
        case .systemCall(let call, let code): text += "\(call): \(errorText(code))"
        case .unencodable(let reason): text += reason
        case .malformed(let reason): text += "malformed answer of the kernel: \(reason)"
        case .interrupted(let attempts): text += "the tables changed during each of \(attempts) attempts to list them"
        case .truncated(let bytes): text += "an answer of \(bytes) bytes did not fit into the buffer"
        case .timedOut: text += "no answer of the kernel"
        case .noAnswer: text += "the kernel's answer lacks the object"
        }
        if let kernelText { text += " (\(kernelText))" }
        if let attribute { text += " [attribute \(attribute)]" }
        return text
    }
}

/// The text of an error number, as `No such device (ENODEV)` without the symbol: what `strerror` says.
public func errorText(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    // The POSIX form of strerror_r fills the buffer; strerror itself may share one between threads.
    let status = strerror_r(code, &buffer, buffer.count)
    guard status == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
