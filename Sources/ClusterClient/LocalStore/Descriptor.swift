import Glibc

/// An open file or directory, closed when nobody refers to it any more.
final class Descriptor {
    let number: Int32

    init(_ number: Int32) {
        self.number = number
    }

    deinit {
        close(number)
    }
}
