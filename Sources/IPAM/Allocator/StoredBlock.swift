import ClusterClient
import KubernetesAPI
import NetworkTypes

/// A block as it was read, or one that does not exist yet.
struct StoredBlock {
    /// `nil` for a block to be created.
    let revision: Revision?
    var block: Block

    /// A block that will be created.
    init(new block: Block) {
        revision = nil
        self.block = block
    }

    /// Throws when the record is no block, or no sound one: writing to it might hand out an address twice.
    init(_ record: Record) throws(IPAMError) {
        revision = record.revision
        block = try Block(record)
        guard block.isSound else {
            let problems = block.violations(now: .now).prefix(3).joined(separator: ", ")
            throw .inconsistent("\(record.key): \(problems)")
        }
    }

    /// The write of the block; its sequence number goes up (2.2).
    func change() -> RecordChange {
        var next = block
        next.beginWrite()
        guard let revision else { return .create(.block(block.cidr), next.json) }
        return .update(.block(block.cidr), next.json, revision)
    }
}

extension Block {
    /// Throws ``IPAMError/inconsistent(_:)`` for a record that is no block, or that lies under another block's key.
    public init(_ record: Record) throws(IPAMError) {
        do throws(MalformedRecord) {
            try self.init(json: record.value)
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
        guard record.key == .block(cidr) else { throw .inconsistent("\(record.key) holds block \(cidr)") }
    }
}

extension Block {
    /// The block as everybody sees it who loads it: what has cooled down is free (R9). One that is not sound is shown as it
    /// is written.
    init(_ record: Record, now: Timestamp, cooldown: Duration) throws(IPAMError) {
        try self.init(record)
        if attributes.contains(where: { $0.releasedAt != nil }), isSound {
            endCooldowns(now: now, cooldown: cooldown)
        }
    }
}

/// A handle as it was read, or one that does not exist yet.
struct StoredHandle {
    let id: String
    let revision: Revision?
    var handle: Handle

    init(id: String, _ record: Record?) throws(IPAMError) {
        self.id = id
        revision = record?.revision
        guard let record else {
            handle = Handle()
            return
        }
        do throws(MalformedRecord) {
            handle = try Handle(json: record.value)
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
        handle.isDeleted = false
    }

    init(id: String, revision: Revision?, _ handle: Handle) {
        self.id = id
        self.revision = revision
        self.handle = handle
    }

    /// The write of the handle, or its deletion when it names no block any more; `nil` when there is nothing to do.
    var change: RecordChange? {
        let blocks = handle.blocks.filter { $0.value > 0 }
        let value = Handle(blocks: blocks).json
        switch (revision, blocks.isEmpty) {
        case (nil, true): return nil
        case (nil, false): return .create(.handle(id), value)
        case (let revision?, true): return .delete(.handle(id), revision)
        case (let revision?, false): return .update(.handle(id), value, revision)
        }
    }
}

/// An affinity as it was read.
struct StoredAffinity {
    let key: RecordKey
    let cidr: CIDR
    let revision: Revision
    let state: BlockAffinity.State

    /// `nil` for one that is being deleted.
    init?(_ record: Record) throws(IPAMError) {
        guard case .blockAffinity(_, let cidr) = record.key else {
            throw .inconsistent("\(record.key) is not an affinity")
        }
        let affinity: BlockAffinity
        do throws(MalformedRecord) {
            affinity = try BlockAffinity(json: record.value)
        } catch {
            throw .inconsistent("\(record.key): \(error)")
        }
        guard !affinity.isDeleted else { return nil }
        key = record.key
        self.cidr = cidr
        revision = record.revision
        state = affinity.state
    }
}
