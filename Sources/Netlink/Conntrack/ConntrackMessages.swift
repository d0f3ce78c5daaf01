/// The message types of ctnetlink (linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h).
enum ConntrackMessage {
    private static let subsystem: UInt16 = 1 << 8  // NFNL_SUBSYS_CTNETLINK
    static let new = subsystem | 0  // IPCTNL_MSG_CT_NEW
    static let get = subsystem | 1  // IPCTNL_MSG_CT_GET
    static let delete = subsystem | 2  // IPCTNL_MSG_CT_DELETE
    static let statistics = subsystem | 5  // IPCTNL_MSG_CT_GET_STATS
    /// The length of `struct nfgenmsg`: family, version, resource.
    static let headerLength = 4
}

enum ConntrackAttribute: UInt16, NetlinkAttribute {
    case original = 1  // CTA_TUPLE_ORIG
    case reply = 2  // CTA_TUPLE_REPLY
    case id = 12  // CTA_ID
    case zone = 18  // CTA_ZONE
    case filter = 25  // CTA_FILTER
}

enum ConntrackStatisticsAttribute: UInt16, NetlinkAttribute {
    case entries = 1  // CTA_STATS_GLOBAL_ENTRIES
}

enum ConntrackTupleAttribute: UInt16, NetlinkAttribute {
    case addresses = 1  // CTA_TUPLE_IP
    case transport = 2  // CTA_TUPLE_PROTO
    case zone = 3  // CTA_TUPLE_ZONE
}

enum ConntrackAddressAttribute: UInt16, NetlinkAttribute {
    case sourceIPv4 = 1  // CTA_IP_V4_SRC
    case destinationIPv4 = 2  // CTA_IP_V4_DST
    case sourceIPv6 = 3  // CTA_IP_V6_SRC
    case destinationIPv6 = 4  // CTA_IP_V6_DST
}

enum ConntrackTransportAttribute: UInt16, NetlinkAttribute {
    case number = 1  // CTA_PROTO_NUM
    case sourcePort = 2  // CTA_PROTO_SRC_PORT
    case destinationPort = 3  // CTA_PROTO_DST_PORT
}

/// Which fields of a tuple a list is filtered by.
enum ConntrackFilterAttribute: UInt16, NetlinkAttribute {
    case original = 1  // CTA_FILTER_ORIG_FLAGS
    case reply = 2  // CTA_FILTER_REPLY_FLAGS
    /// The bits of the fields, in host byte order.
    static let source: UInt32 = 1 << 0  // CTA_IP_SRC
    static let destination: UInt32 = 1 << 1  // CTA_IP_DST
    static let transportNumber: UInt32 = 1 << 3  // CTA_PROTO_NUM
}
