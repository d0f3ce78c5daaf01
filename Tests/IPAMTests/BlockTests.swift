import ClusterClient
import Foundation
import KubernetesAPI
import NetworkTypes
import TestSupport
import Testing

@testable import IPAM

@Suite struct BlockTests {
    static let now = Timestamp("2026-11-20T08:14:03.5Z")!

    private func block(_ cidr: String = "10.0.0.0/30") -> Block {
        Block(cidr: CIDR(cidr)!, affinity: .host("node-a"), now: Self.now)
    }

    private func owner(_ handle: String, _ interface: String = "eth0") -> Block.Attribute {
        Block.Attribute(handleID: handle, secondary: ["ifname": interface])
    }

    // MARK: JSON

    @Test func theJSONIsCalicos() {
        var block = block()
        _ = block.assign(count: 1, to: Block.Attribute(handleID: "net.a", secondary: ["pod": "p", "node": "n\"1"]))
        block.release([], now: Self.now, cooldown: .zero)
        #expect(
            String(decoding: block.json, as: UTF8.self)
                == #"{"cidr":"10.0.0.0/30","affinity":"host:node-a","affinity_claim_time":"2026-11-20T08:14:03Z","#
                + #""allocations":[0,null,null,null],"unallocated":[1,2,3],"attributes":[{"handle_id":"net.a","#
                + #""secondary":{"node":"n\"1","pod":"p"}}],"sequenceNumber":1795162443500000000,"#
                + #""sequenceNumberForAllocation":{"0":1795162443500000000},"deleted":false}"#
        )
    }

    @Test func aCoolingAddressAndAnOwnerlessBlockHaveNulls() {
        var block = block()
        block.affinity = nil
        block.affinityClaimTime = nil
        _ = block.assign(count: 1, to: owner("a"))
        block.release([0], now: Self.now, cooldown: .seconds(10))
        let text = String(decoding: block.json, as: UTF8.self)
        #expect(text.contains(#""affinity":null,"affinity_claim_time":null"#))
        #expect(
            text.contains(#""attributes":[{"handle_id":null,"secondary":null,"releasedAt":"2026-11-20T08:14:03Z"}]"#)
        )
    }

    @Test func blocksOfOldAndOtherVersionsAreRead() throws {
        let old = #"""
            { "cidr": "10.65.79.0/30", "hostAffinity": "worker-1", "strictAffinity": false,
              "allocations": [0, null, 1, null], "unallocated": [3, 1],
              "attributes": [ {"handle_id": "net.a\r\neth0", "secondary": null}, {"handle_id": null, "secondary": {"pod": "\u00e9\ud83d\ude00\n"}} ] }
            """#
        let block = try Block(json: Data(old.utf8))
        #expect(block.affinity == .host("worker-1"))
        #expect(block.sequenceNumber == 0 && block.sequenceNumberForAllocation.isEmpty && !block.isDeleted)
        #expect(block.attribute(0)?.handle == "net.a")
        #expect(block.attribute(2)?.secondary == ["pod": "é😀\n"])
        #expect(block.violations(now: Self.now) == [])
        #expect(try Block(json: block.json) == block)

        let minimal =
            #"{"cidr":"fd00::/127","affinity":null,"allocations":[null,null],"unallocated":[0,1],"attributes":null,"deleted":"true","x":[{"y":[1.5e3,true,"z"]}]}"#
        let other = try Block(json: Data(minimal.utf8))
        #expect(other.affinity == nil && other.attributes.isEmpty && other.isDeleted)
    }

    @Test(arguments: [
        "", "{", "null", "[]", "{}", #"{"cidr":"10.0.0.0/30"}"#,
        #"{"cidr":"10.0.0.1/30","allocations":[null,null,null,null]}"#,
        #"{"cidr":"10.0.0.0/30","allocations":[null,null,null]}"#,
        #"{"cidr":"10.0.0.0/8","allocations":[],"unallocated":[]}"#,
        #"{"cidr":"10.0.0.0/30","allocations":[null,null,null,"x"]}"#,
        #"{"cidr":"10.0.0.0/30","allocations":[null,null,null,1.5]}"#,
        #"{"cidr":"10.0.0.0/32","allocations":[null]} x"#, #"{"cidr":"10.0.0.0/32","allocations":[null],}"#,
        #"{"cidr":"10.0.0.0/32","allocations":[null],"affinity":"tribe:x"}"#,
        #"{"cidr":"10.0.0.0/32","allocations":[99999999999999999999]}"#,
        #"{"cidr":"10.0.0.0/32","allocations":[null],"attributes":[{"handle_id":5}]}"#,
        "{\"cidr\":\"10.0.0.0/32\u{1}\"}",
        #"{"cidr":"\ud800","allocations":[]}"#, #"{"cidr":"10.0.0.0/32","allocations":[null],"sequenceNumber":-1}"#,
    ])
    func brokenBlocksAreErrors(_ json: String) {
        #expect(throws: MalformedRecord.self) { try Block(json: Data(json.utf8)) }
    }

    @Test func deepNestingIsRefused() {
        let json = #"{"x":"# + String(repeating: "[", count: 200_000)
        #expect(throws: MalformedRecord.self) { try Block(json: Data(json.utf8)) }
    }

    /// Every cut and every changed byte gives a block or an error, never a crash.
    @Test func mutilatedBlocksDoNoHarm() {
        var random = SeededGenerator(seed: 1)
        var block = block("10.0.0.0/28")
        _ = block.assign(count: 3, to: owner("a"))
        _ = block.assign(count: 2, to: owner("b"))
        block.release([1], now: Self.now, cooldown: .seconds(60))
        let json = block.json
        for length in 0..<json.count { #expect(throws: MalformedRecord.self) { try Block(json: json.prefix(length)) } }
        for _ in 0..<20_000 {
            var bytes = json
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard var mutant = try? Block(json: bytes) else { continue }
            _ = mutant.violations(now: Self.now)
            if mutant.isSound {
                _ = mutant.assign(count: 20, to: owner("c"))
                mutant.release(0..<16, now: Self.now, cooldown: .zero)
                mutant.endCooldowns(now: Self.now, cooldown: .zero)
                #expect(mutant.isSound)
            }
        }
    }

    @Test func smallRecordsAreReadAndWritten() throws {
        let handle = Handle(blocks: [CIDR("10.65.79.64/26")!: 2, CIDR("10.65.79.0/26")!: 1])
        #expect(
            String(decoding: handle.json, as: UTF8.self)
                == #"{"block":{"10.65.79.0/26":1,"10.65.79.64/26":2},"deleted":false}"#
        )
        #expect(try Handle(json: handle.json) == handle)
        #expect(try Handle(json: Data(#"{"block":null}"#.utf8)) == Handle())
        #expect(throws: MalformedRecord.self) { try Handle(json: Data(#"{"block":{"x":1}}"#.utf8)) }
        #expect(try BlockAffinity(json: Data()) == BlockAffinity(.confirmed))
        #expect(try BlockAffinity(json: Data("{}".utf8)) == BlockAffinity(.confirmed))
        #expect(try BlockAffinity(json: Data(#"{"state":"","deleted":"false"}"#.utf8)) == BlockAffinity(.confirmed))
        #expect(try BlockAffinity(json: BlockAffinity(.pendingDeletion).json) == BlockAffinity(.pendingDeletion))
        #expect(throws: MalformedRecord.self) { try BlockAffinity(json: Data(#"{"state":"married"}"#.utf8)) }
    }

    // MARK: Operations

    @Test func addressesComeInOrderAndReleasedOnesLast() {
        var block = block()
        #expect(block.assign(count: 2, to: owner("a")) == [0, 1])
        #expect(block.assign(count: 1, to: owner("b")) == [2])
        block.release([0], now: Self.now, cooldown: .zero)
        #expect(block.unallocated == [3, 0])
        #expect(block.assign(count: 5, to: owner("c")) == [3, 0])
        #expect(block.assign(count: 1, to: owner("d")) == [])
        #expect(block.attributes.map(\.handleID) == ["a", "b", "c"])
        block.release([2], now: Self.now, cooldown: .zero)
        #expect(block.attributes.map(\.handleID) == ["a", "c"])
        #expect(block.ordinals(handle: "c", interface: nil) == [0, 3])
        #expect(block.violations(now: Self.now) == [])
    }

    @Test func reservedAddressesKeepTheirPlaceInTheQueue() {
        var block = block()
        let reserved = ReservedRanges([CIDR("10.0.0.0/31")!])
        #expect(block.freeCount(reserved: reserved) == 2)
        #expect(block.assign(count: 1, to: owner("a"), reserved: reserved) == [2])
        #expect(block.unallocated == [0, 1, 3])
        // Asked for by name they can be had (1.5).
        #expect(block.assign(ordinal: 1, to: owner("b")) == true)
        #expect(block.assign(ordinal: 1, to: owner("c")) == false)
        #expect(block.assign(ordinal: 9, to: owner("c")) == false)
        #expect(block.unallocated == [0, 3])
    }

    @Test func anAddressCoolsDownBeforeItIsUsedAgain() {
        var block = block("10.0.0.0/31")
        _ = block.assign(count: 2, to: owner("a"))
        block.release([1], now: Self.now, cooldown: .seconds(10))
        #expect(block.attribute(1) == Block.Attribute(handleID: nil, releasedAt: Self.now.wholeSecond))
        #expect(!block.isEmpty && block.inUseCount == 2 && block.freeCount() == 0)
        #expect(block.assign(ordinal: 1, to: owner("b")) == false)
        // Releasing it again does not start the time anew.
        block.release([1], now: Self.now + .seconds(9), cooldown: .seconds(10))
        #expect(block.endCooldowns(now: Self.now + .seconds(9), cooldown: .seconds(10)) == false)
        #expect(block.endCooldowns(now: Self.now + .seconds(11), cooldown: .seconds(10)) == true)
        #expect(block.assign(count: 1, to: owner("b")) == [1])
        #expect(block.violations(now: Self.now + .seconds(11)) == [])
    }

    @Test func interfacesAreToldApart() {
        var block = block()
        _ = block.assign(count: 1, to: owner("a", "eth0"))
        _ = block.assign(count: 1, to: owner("a", "net1"))
        _ = block.assign(count: 1, to: Block.Attribute(handleID: "a"))
        #expect(block.ordinals(handle: "a", interface: nil) == [0, 1, 2])
        #expect(block.ordinals(handle: "a", interface: "eth0") == [0, 2])
        #expect(block.ordinals(handle: "a", interface: "net1") == [1, 2])
        #expect(block.ordinals(handle: "b", interface: nil) == [])
    }

    @Test func eachAssignmentHasItsOwnNumber() {
        var block = block()
        _ = block.assign(count: 1, to: owner("a"))
        let first = block.sequenceNumber(of: 0)
        block.beginWrite()
        block.release([0], now: Self.now, cooldown: .zero)
        #expect(block.sequenceNumber(of: 0) == 0)
        _ = block.assign(ordinal: 0, to: owner("b"))
        #expect(block.sequenceNumber(of: 0) > first)
    }

    @Test func violationsAreNamed() throws {
        func violations(_ allocations: String, _ unallocated: String, _ attributes: String) throws -> [String] {
            let json =
                #"{"cidr":"10.0.0.0/30","allocations":[\#(allocations)],"unallocated":[\#(unallocated)],"attributes":[\#(attributes)]}"#
            let block = try Block(json: Data(json.utf8))
            let found = block.violations(now: Self.now)
            // What makes handing out an address dangerous is what soundness is about.
            #expect(block.isSound == found.allSatisfy { $0.hasPrefix("B2") || $0.hasPrefix("B5") })
            return found.map { String($0.prefix(2)) }
        }
        let attribute = #"{"handle_id":"a","secondary":null}"#
        #expect(try violations("0,null,null,null", "1,2,3", attribute) == [])
        #expect(try violations("1,null,null,null", "1,2,3", attribute) == ["B1", "B2"])
        #expect(try violations("-1,null,null,null", "1,2,3", "") == ["B1"])
        #expect(try violations("null,null,null,null", "0,1,2,3", attribute) == ["B2"])
        #expect(try violations("0,null,null,null", "0,1,2,3", attribute) == ["B3", "B4"])
        #expect(try violations("0,null,null,null", "1,1,3", attribute) == ["B3"])
        #expect(try violations("0,null,null,null", "1,2,4", attribute) == ["B3"])
        #expect(try violations("0,null,null,null", "1,2,-1", attribute) == ["B3"])
        #expect(try violations("0,null,null,null", "1,2", attribute) == ["B4"])
        #expect(try violations("0,null,null,null", "1,2,3", #"{"releasedAt":"2026-11-20T09:00:00Z"}"#) == ["B5"])
    }

    /// Any run of operations keeps B1 to B5, and agrees with a plain table of who has what.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func randomOperationsKeepTheInvariants(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var block = block("10.0.0.0/27")
        var owners: [Int: String] = [:]
        var released: [Int: Timestamp] = [:]
        var now = Self.now
        let cooldown = Duration.seconds(Int64(seed % 3) * 20)
        for _ in 0..<400 {
            let handle = "h\(Int.random(in: 0..<6, using: &random))"
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                let count = Int.random(in: 1...4, using: &random)
                let got = block.assign(count: count, to: owner(handle))
                #expect(got.count == min(count, 32 - owners.count - released.count))
                for ordinal in got {
                    #expect(owners.updateValue(handle, forKey: ordinal) == nil)
                    #expect(released[ordinal] == nil)
                }
            case 2:
                let ordinal = Int.random(in: 0..<32, using: &random)
                let isFree = owners[ordinal] == nil && released[ordinal] == nil
                #expect(block.assign(ordinal: ordinal, to: owner(handle)) == isFree)
                if isFree { owners[ordinal] = handle }
            case 3:
                let ordinals = block.ordinals(handle: handle, interface: nil)
                #expect(ordinals == owners.filter { $0.value == handle }.keys.sorted())
                block.release(ordinals, now: now, cooldown: cooldown)
                for ordinal in ordinals {
                    owners[ordinal] = nil
                    if cooldown > .zero { released[ordinal] = now.wholeSecond }
                }
            case 4:
                guard let ordinal = owners.keys.sorted().randomElement(using: &random) else { continue }
                block.reassign(ordinal: ordinal, to: owner(handle))
                owners[ordinal] = handle
            default:
                now = now + .seconds(Int.random(in: 0...15, using: &random))
                block.endCooldowns(now: now, cooldown: cooldown)
                released = released.filter { now - $0.value <= cooldown }
            }
            block.beginWrite()
            #expect(block.violations(now: now) == [])
            #expect(block.isSound && block.inUseCount == owners.count + released.count)
            #expect(try Block(json: block.json) == block)
        }
    }
}
