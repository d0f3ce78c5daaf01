/// How the kernel ended a request: NLMSG_ERROR (which also says "no error"), or NLMSG_DONE after a list.
struct Acknowledgement {
    /// An error number of `errno.h`, or 0.
    let code: Int32
    /// What the kernel says about it (NLMSGERR_ATTR_MSG); with code 0 it is a warning.
    let text: String?
    /// Where the refused attribute starts in the request, from the start of its header (NLMSGERR_ATTR_OFFS).
    let attributeOffset: Int?
    /// A required attribute that the request lacks (NLMSGERR_ATTR_MISS_TYPE).
    let missingAttribute: UInt16?

    private enum Field: UInt16, NetlinkAttribute {
        case message = 1  // NLMSGERR_ATTR_MSG
        case offset = 2  // NLMSGERR_ATTR_OFFS
        case missingType = 5  // NLMSGERR_ATTR_MISS_TYPE
    }

    init(_ message: Message) throws(MalformedMessage) {
        var reader = ByteReader(message.body)
        if message.type == ControlMessage.done, message.body.count < 4 {
            // Some protocols end a list without an error number.
            (code, text, attributeOffset, missingAttribute) = (0, nil, nil, nil)
            return
        }
        code = 0 &- (try reader.read(Int32.self))
        if message.type == ControlMessage.error {
            // The request's header follows, and its body too unless the socket asked for NETLINK_CAP_ACK.
            let length = Int(try reader.read(UInt32.self))
            try reader.skip(Message.headerLength - 4)
            if code != 0, message.flags & MessageFlags.capped == 0 {
                let body = (length + 3) & ~3 - Message.headerLength
                try reader.skip(max(0, min(body, reader.remaining.count)))
            }
        }
        guard message.flags & MessageFlags.hasExtendedAcknowledgement != 0 else {
            (text, attributeOffset, missingAttribute) = (nil, nil, nil)
            return
        }
        let fields = try Attributes(parsing: reader.remaining)
        text = fields.text(Field.message)
        attributeOffset = try fields.integer(Field.offset, as: UInt32.self).map { Int($0) }
        missingAttribute = try fields.integer(Field.missingType, as: UInt32.self)
            .map { UInt16(truncatingIfNeeded: $0) }
    }

    /// The error that the acknowledgement means for a request, or `nil` when it succeeded.
    func error(for request: NetlinkRequest) -> NetlinkError? {
        guard code != 0 else { return nil }
        var attribute = attributeOffset.map(request.describeAttribute(atOffset:))
        if let missingAttribute {
            attribute = (request.attributeName(missingAttribute) ?? "\(missingAttribute)") + " is missing"
        }
        return NetlinkError(
            request: request.summary(),
            cause: .refused(code: code),
            kernelText: text,
            attribute: attribute
        )
    }
}
