import EtcdStore
import Testing
