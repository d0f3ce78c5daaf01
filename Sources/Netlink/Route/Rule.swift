import Glibc
import NetworkTypes

/// A rule of the routing policy: which packets look into which table (RTM_NEWRULE, linux/fib_rules.h).
public struct Rule: Hashable, Sendable {
    public enum Action: Hashable, Sendable {
        case lookup(Route.Table)
        case blackhole
        case unreachable
        case prohibit
    }

    public let family: IPFamily
    /// Lower comes first.
    public let priority: UInt32
    public let source: CIDR?
    public let destination: CIDR?
    /// Packets whose mark has this value under ``markMask``.
    public let mark: UInt32?
    public let markMask: UInt32?
    public let incomingInterface: String?
    public let outgoingInterface: String?
    /// Applies to packets that the rest does not match.
    public let isInverted: Bool
    public let action: Action

    public init(
        family: IPFamily,
        priority: UInt32,
        source: CIDR? = nil,
        destination: CIDR? = nil,
        mark: UInt32? = nil,
        markMask: UInt32? = nil,
        incomingInterface: String? = nil,
        outgoingInterface: String? = nil,
        isInverted: Bool = false,
        action: Action
    ) {
        self.family = family
        self.priority = priority
        self.source = source?.masked
        self.destination = destination?.masked
        self.mark = mark
        self.markMask = markMask
        self.incomingInterface = incomingInterface
        self.outgoingInterface = outgoingInterface
        self.isInverted = isInverted
        self.action = action
    }

    /// Reads a rule; `nil` when the message is something else, or its action is none of ``Action``.
    public init?(_ message: Message) throws(MalformedMessage) {
        guard message.type == RouteMessage.newRule || message.type == RouteMessage.deleteRule else { return nil }
        var (header, attributes) = try message.split(headerLength: RuleHeader.length)
        guard let family = IPFamily(socketFamily: try header.read()) else { return nil }
        let destinationLength = Int(try header.read(UInt8.self))
        let sourceLength = Int(try header.read(UInt8.self))
        try header.skip(1)
        let shortTable = UInt32(try header.read(UInt8.self))
        try header.skip(2)
        let actionNumber = try header.read(UInt8.self)
        isInverted = try header.read(UInt32.self) & RuleHeader.invertFlag != 0
        self.family = family
        priority = try attributes.integer(RuleAttribute.priority) ?? 0
        source = try attributes.address(RuleAttribute.source).flatMap { CIDR($0, prefixLength: sourceLength) }
        destination = try attributes.address(RuleAttribute.destination)
            .flatMap { CIDR($0, prefixLength: destinationLength) }
        mark = try attributes.integer(RuleAttribute.mark)
        markMask = try attributes.integer(RuleAttribute.markMask)
        incomingInterface = attributes.text(RuleAttribute.incomingInterface)
        outgoingInterface = attributes.text(RuleAttribute.outgoingInterface)
        switch actionNumber {
        case RuleHeader.lookup:
            action = .lookup(Route.Table(rawValue: try attributes.integer(RuleAttribute.table) ?? shortTable))
        case RuleHeader.blackhole: action = .blackhole
        case RuleHeader.unreachable: action = .unreachable
        case RuleHeader.prohibit: action = .prohibit
        default: return nil
        }
    }
}

/// What `struct fib_rule_hdr` holds.
enum RuleHeader {
    static let length = 12
    static let lookup: UInt8 = 1  // FR_ACT_TO_TBL
    static let blackhole: UInt8 = 6  // FR_ACT_BLACKHOLE
    static let unreachable: UInt8 = 7  // FR_ACT_UNREACHABLE
    static let prohibit: UInt8 = 8  // FR_ACT_PROHIBIT
    static let invertFlag: UInt32 = 2  // FIB_RULE_INVERT
}

enum RuleAttribute: UInt16, NetlinkAttribute {
    case destination = 1  // FRA_DST
    case source = 2  // FRA_SRC
    case incomingInterface = 3  // FRA_IIFNAME
    case priority = 6  // FRA_PRIORITY
    case mark = 10  // FRA_FWMARK
    case table = 15  // FRA_TABLE
    case markMask = 16  // FRA_FWMASK
    case outgoingInterface = 17  // FRA_OIFNAME
}

extension NetlinkRequest {
    private static func rule(_ type: UInt16, flags: UInt16, _ rule: Rule, verb: StaticString) -> NetlinkRequest {
        NetlinkRequest(
            type: type,
            flags: flags,
            headerLength: RuleHeader.length,
            attributes: RuleAttribute.self,
            summary: "\(verb) \(rule.family) rule \(rule.priority)"
        ) { builder in
            builder.append(rule.family.socketFamily)
            builder.append(UInt8(rule.destination?.prefixLength ?? 0))
            builder.append(UInt8(rule.source?.prefixLength ?? 0))
            builder.append(UInt8(0))
            var table: UInt32 = 0
            if case .lookup(let chosen) = rule.action { table = chosen.rawValue }
            builder.append(UInt8(exactly: table) ?? 0)
            builder.append(UInt16(0))
            switch rule.action {
            case .lookup: builder.append(RuleHeader.lookup)
            case .blackhole: builder.append(RuleHeader.blackhole)
            case .unreachable: builder.append(RuleHeader.unreachable)
            case .prohibit: builder.append(RuleHeader.prohibit)
            }
            builder.append(rule.isInverted ? RuleHeader.invertFlag : 0)
            builder.attribute(RuleAttribute.priority, rule.priority)
            if let source = rule.source { builder.attribute(RuleAttribute.source, source.address) }
            if let destination = rule.destination {
                builder.attribute(RuleAttribute.destination, destination.address)
            }
            if let mark = rule.mark { builder.attribute(RuleAttribute.mark, mark) }
            if let mask = rule.markMask { builder.attribute(RuleAttribute.markMask, mask) }
            if let name = rule.incomingInterface { builder.attribute(RuleAttribute.incomingInterface, name) }
            if let name = rule.outgoingInterface { builder.attribute(RuleAttribute.outgoingInterface, name) }
            if table > UInt8.max { builder.attribute(RuleAttribute.table, table) }
        }
    }

    /// Adds a rule; refused with EEXIST when there is the same one.
    public static func addRule(_ rule: Rule) -> NetlinkRequest {
        self.rule(
            RouteMessage.newRule,
            flags: MessageFlags.create | MessageFlags.exclusive,
            rule,
            verb: "add"
        )
    }

    /// Removes a rule; refused with ENOENT when there is none like it.
    public static func deleteRule(_ rule: Rule) -> NetlinkRequest {
        self.rule(RouteMessage.deleteRule, flags: 0, rule, verb: "delete")
    }
}

extension NetlinkQuery<Rule> {
    /// The rules of one family.
    public static func rules(_ family: IPFamily) -> NetlinkQuery {
        NetlinkQuery(
            NetlinkRequest(
                type: RouteMessage.getRule,
                flags: MessageFlags.dump,
                headerLength: RuleHeader.length,
                attributes: RuleAttribute.self,
                summary: "list \(family) rules"
            ) { builder in
                builder.append(family.socketFamily)
                builder.append(bytes: [UInt8](repeating: 0, count: RuleHeader.length - 1))
            }
        ) { message throws(MalformedMessage) in try Rule(message) }
    }
}
