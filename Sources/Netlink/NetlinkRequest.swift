/// One thing asked of the kernel.
///
/// The requests of a protocol are static functions in extensions, so that a call reads like a sentence:
/// `try rtnetlink.send(.setLink(.index(index), up: true))`.
public struct NetlinkRequest: Sendable {
    /// What is asked, in words for an error message: `add route 10.0.0.1/32 …`.
    public let summary: @Sendable () -> String
    public let type: UInt16
    /// Header flags besides NLM_F_REQUEST and NLM_F_ACK, which the socket sets.
    public let flags: UInt16
    /// The fixed header of the message type and the attributes.
    public let body: MessageBuilder
    /// The length of the fixed header in ``body``.
    let fixedHeaderLength: Int
    /// The namespace whose descriptor is in ``body``; it must not be closed before the request was sent.
    private let namespace: NetworkNamespace?
    /// Names a top-level attribute of this message type, `nil` when unknown.
    let attributeName: @Sendable (UInt16) -> String?

    /// - Parameters:
    ///   - namespace: What the attributes refer to by a file descriptor; stays open as long as the request exists.
    ///   - build: Appends the fixed header (of `headerLength` bytes) and then the attributes.
    public init<Attribute: NetlinkAttribute>(
        type: UInt16,
        flags: UInt16 = 0,
        headerLength: Int,
        attributes: Attribute.Type,
        retaining namespace: NetworkNamespace? = nil,
        summary: @autoclosure @escaping @Sendable () -> String,
        build: (inout MessageBuilder) -> Void
    ) {
        self.type = type
        self.flags = flags
        self.summary = summary
        self.namespace = namespace
        fixedHeaderLength = headerLength
        attributeName = { Attribute(rawValue: $0).map { "\($0)" } }
        var body = MessageBuilder()
        build(&body)
        self.body = body
    }

    /// Names the attribute at an offset that counts from the start of the message header, as in NLMSGERR_ATTR_OFFS.
    func describeAttribute(atOffset offset: Int) -> String {
        let target = offset - Message.headerLength
        var position = fixedHeaderLength
        var end = body.bytes.count
        var path: [String] = []
        while position + 4 <= end {
            var reader = ByteReader(body.bytes[position...])
            guard let length = try? reader.read(UInt16.self), let type = try? reader.read(UInt16.self), length >= 4
            else { break }
            guard target >= position, target < position + Int(length) else {
                position += (Int(length) + 3) & ~3
                continue
            }
            let number = type & ~(AttributeFlag.nested | AttributeFlag.networkByteOrder)
            path.append(path.isEmpty ? attributeName(number) ?? "\(number)" : "\(number)")
            guard target > position, type & AttributeFlag.nested != 0 else { break }
            end = min(end, position + Int(length))
            position += 4
        }
        return path.isEmpty ? "at offset \(offset)" : path.joined(separator: ".")
    }
}

/// A request that is answered with objects: one, or with NLM_F_DUMP a list.
public struct NetlinkQuery<Element>: Sendable {
    public let request: NetlinkRequest
    /// The object in a message; `nil` for a message that is not such an object, or is not wanted.
    public let decode: @Sendable (Message) throws(MalformedMessage) -> Element?

    public init(
        _ request: NetlinkRequest,
        decode: @escaping @Sendable (Message) throws(MalformedMessage) -> Element?
    ) {
        self.request = request
        self.decode = decode
    }

    /// The same query with objects left out. The kernel filters where it can; this makes sure of it, since older
    /// kernels ignore filters they do not know.
    public func filter(_ isIncluded: @escaping @Sendable (Element) -> Bool) -> NetlinkQuery {
        let decode = decode
        return NetlinkQuery(request) { message throws(MalformedMessage) in
            guard let element = try decode(message), isIncluded(element) else { return nil }
            return element
        }
    }

    /// The object in one answer of a batch; `nil` when there is none.
    ///
    /// - Throws: The refusal that the outcome holds, or what is wrong with the message.
    public func element(in outcome: NetlinkSocket.Outcome) throws(NetlinkError) -> Element? {
        for message in try outcome.get() {
            if let element = try element(in: message) { return element }
        }
        return nil
    }

    func element(in message: Message) throws(NetlinkError) -> Element? {
        do throws(MalformedMessage) {
            return try decode(message)
        } catch {
            throw NetlinkError(request: request.summary(), cause: .malformed(error.description))
        }
    }
}
