import NetworkTypes
import Testing

@Suite struct MACAddressTests {
    @Test func text() throws {
        let mac = try #require(MACAddress("0A:00:27:ff:00:1c"))
        #expect(mac.description == "0a:00:27:ff:00:1c")
        #expect(mac.bytes == [0x0a, 0, 0x27, 0xff, 0, 0x1c])
        #expect(MACAddress("0a-00-27-ff-00-1c") == mac)
        #expect(MACAddress(bytes: mac.bytes) == mac)
        #expect(MACAddress(0x0a, 0, 0x27, 0xff, 0, 0x1c) == mac)
    }

    @Test(arguments: [
        "", "0a:00:27:ff:00", "0a:00:27:ff:00:1c:00", "0a:00:27-ff:00:1c", "0a.00.27.ff.00.1c", "0a0027ff001c",
        "0g:00:27:ff:00:1c", "a:00:27:ff:00:1c0", "+a:00:27:ff:00:1c", "0a:00:27:ff:00:1c ",
    ])
    func refuses(_ text: String) {
        #expect(MACAddress(text) == nil)
    }

    @Test func linkLocalAddress() {
        #expect(MACAddress("ee:ee:ee:ee:ee:ee")?.linkLocalAddress.description == "fe80::ecee:eeff:feee:eeee")
        #expect(MACAddress("00:00:5e:00:53:01")?.linkLocalAddress.description == "fe80::200:5eff:fe00:5301")
    }

    @Test func multicast() {
        #expect(MACAddress("01:00:5e:00:00:01")?.isMulticast == true)
        #expect(MACAddress("ff:ff:ff:ff:ff:ff")?.isMulticast == true)
        #expect(MACAddress("ee:ee:ee:ee:ee:ee")?.isMulticast == false)
    }
}
