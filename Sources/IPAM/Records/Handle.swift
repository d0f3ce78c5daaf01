import FoundationEssentials
import JSON
import NetworkTypes

/// The index from a handle, the identity of a container, to the blocks it has addresses in.
///
/// It may name more than there is after a crash, never less; the truth is in the blocks.
public struct Handle: Hashable, Sendable {
    /// For each block how many addresses the handle has in it.
    public var blocks: [CIDR: Int]
    public var isDeleted: Bool

    public init(blocks: [CIDR: Int] = [:], isDeleted: Bool = false) {
        self.blocks = blocks
        self.isDeleted = isDeleted
    }

    public var json: Data {
        JSONWriter.object { writer in
            writer.name("block")
            writer.object { writer in
                for (cidr, count) in blocks.sorted(by: { $0.key < $1.key }) {
                    writer.name(cidr.description)
                    writer.integer(count)
                }
            }
            writer.name("deleted")
            writer.boolean(isDeleted)
        }
    }

    /// Reads a handle; throws when the text is not the JSON of one.
    public init(json: Data) throws(MalformedRecord) {
        var blocks: [CIDR: Int] = [:]
        var isDeleted = false
        try JSONReader.record(json) { (reader) throws(JSONReader.Failure) in
            try reader.object { (name, reader) throws(JSONReader.Failure) in
                switch name {
                case "block":
                    guard !reader.null() else { return }
                    try reader.object { (name, reader) throws(JSONReader.Failure) in
                        guard let cidr = CIDR(name) else { throw reader.failure("\"\(name)\" is not a block") }
                        // No block has more, and none less than nothing.
                        blocks[cidr] = min(max(0, try reader.integer(Int.self)), Block.size(of: cidr))
                    }
                case "deleted":
                    isDeleted = try reader.flag()
                default:
                    try reader.skip()
                }
            }
        }
        self.init(blocks: blocks, isDeleted: isDeleted)
    }
}
