# ruff: noqa: D101 - generated: a class for each of AWS's shapes, documented there
"""The requests and results of the actions we serve, as types: for annotations only, import it under TYPE_CHECKING.

Generated from botocore 1.44.5 by protocols/ec2/scripts/make_model.py; do not edit. Licence: see NOTICE.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypedDict

from protocols.ec2.encode import Fragment


class ApplicationStatusSummary(TypedDict, total=False):
    Status: str
    ImpairedSince: datetime


class AvailabilityZone(TypedDict, total=False):
    OptInStatus: str
    Messages: Sequence[AvailabilityZoneMessage | Fragment]
    RegionName: str
    ZoneName: str
    ZoneId: str
    GroupName: str
    NetworkBorderGroup: str
    ZoneType: str
    ParentZoneName: str
    ParentZoneId: str
    GroupLongName: str
    Geography: Sequence[AvailabilityZoneGeography | Fragment]
    SubGeography: Sequence[AvailabilityZoneSubGeography | Fragment]
    State: str


class AvailabilityZoneGeography(TypedDict, total=False):
    Name: str


class AvailabilityZoneMessage(TypedDict, total=False):
    Message: str


class AvailabilityZoneSubGeography(TypedDict, total=False):
    Name: str


class BlockDeviceMapping(TypedDict, total=False):
    Ebs: EbsBlockDevice
    NoDevice: str
    DeviceName: str
    VirtualName: str


class CapacityReservationSpecification(TypedDict, total=False):
    CapacityReservationPreference: str
    CapacityReservationTarget: CapacityReservationTarget


class CapacityReservationSpecificationResponse(TypedDict, total=False):
    CapacityReservationPreference: str
    CapacityReservationTarget: CapacityReservationTargetResponse | Fragment


class CapacityReservationTarget(TypedDict, total=False):
    CapacityReservationId: str
    CapacityReservationResourceGroupArn: str


class CapacityReservationTargetResponse(TypedDict, total=False):
    CapacityReservationId: str
    CapacityReservationResourceGroupArn: str


class ConnectionTrackingSpecificationRequest(TypedDict, total=False):
    TcpEstablishedTimeout: int
    UdpStreamTimeout: int
    UdpTimeout: int


class ConnectionTrackingSpecificationResponse(TypedDict, total=False):
    TcpEstablishedTimeout: int
    UdpStreamTimeout: int
    UdpTimeout: int


class CpuOptions(TypedDict, total=False):
    CoreCount: int
    ThreadsPerCore: int
    AmdSevSnp: str
    NestedVirtualization: str


class CpuOptionsRequest(TypedDict, total=False):
    CoreCount: int
    ThreadsPerCore: int
    AmdSevSnp: str
    NestedVirtualization: str


class CreateKeyPairRequest(TypedDict, total=False):
    KeyName: str
    KeyType: str
    TagSpecifications: list[TagSpecification]
    KeyFormat: str
    DryRun: bool


class CreateTagsRequest(TypedDict, total=False):
    DryRun: bool
    Resources: list[str]
    Tags: list[Tag]


class CreditSpecificationRequest(TypedDict, total=False):
    CpuCredits: str


class DefaultConnectionTrackingConfiguration(TypedDict, total=False):
    DefaultTcpEstablishedTimeout: int
    DefaultUdpTimeout: int
    DefaultUdpStreamTimeout: int


class DeleteKeyPairRequest(TypedDict, total=False):
    KeyName: str
    KeyPairId: str
    DryRun: bool


class DeleteKeyPairResult(TypedDict, total=False):
    Return: bool
    KeyPairId: str


class DeleteTagsRequest(TypedDict, total=False):
    DryRun: bool
    Resources: list[str]
    Tags: list[Tag]


class DescribeAvailabilityZonesRequest(TypedDict, total=False):
    ZoneNames: list[str]
    ZoneIds: list[str]
    AllAvailabilityZones: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeAvailabilityZonesResult(TypedDict, total=False):
    AvailabilityZones: Sequence[AvailabilityZone | Fragment]


class DescribeImagesRequest(TypedDict, total=False):
    ExecutableUsers: list[str]
    ImageIds: list[str]
    Owners: list[str]
    IncludeDeprecated: bool
    IncludeDisabled: bool
    MaxResults: int
    NextToken: str
    DryRun: bool
    Filters: list[Filter]


class DescribeImagesResult(TypedDict, total=False):
    NextToken: str
    Images: Sequence[Image | Fragment]


class DescribeInstanceStatusRequest(TypedDict, total=False):
    InstanceIds: list[str]
    MaxResults: int
    NextToken: str
    IncludeManagedResources: bool
    DryRun: bool
    Filters: list[Filter]
    IncludeAllInstances: bool


class DescribeInstanceStatusResult(TypedDict, total=False):
    InstanceStatuses: Sequence[InstanceStatus | Fragment]
    NextToken: str


class DescribeInstanceTypesRequest(TypedDict, total=False):
    DryRun: bool
    InstanceTypes: list[str]
    Filters: list[Filter]
    MaxResults: int
    NextToken: str
    IncludeUnsupportedInRegion: bool


class DescribeInstanceTypesResult(TypedDict, total=False):
    InstanceTypes: Sequence[InstanceTypeInfo | Fragment]
    NextToken: str


class DescribeInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    IncludeManagedResources: bool
    DryRun: bool
    Filters: list[Filter]
    NextToken: str
    MaxResults: int


class DescribeInstancesResult(TypedDict, total=False):
    NextToken: str
    Reservations: Sequence[Reservation | Fragment]


class DescribeKeyPairsRequest(TypedDict, total=False):
    KeyNames: list[str]
    KeyPairIds: list[str]
    IncludePublicKey: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeKeyPairsResult(TypedDict, total=False):
    KeyPairs: Sequence[KeyPairInfo | Fragment]


class DescribeRegionsRequest(TypedDict, total=False):
    RegionNames: list[str]
    AllRegions: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeRegionsResult(TypedDict, total=False):
    Regions: Sequence[Region | Fragment]


class DescribeTagsRequest(TypedDict, total=False):
    DryRun: bool
    Filters: list[Filter]
    MaxResults: int
    NextToken: str


class DescribeTagsResult(TypedDict, total=False):
    NextToken: str
    Tags: Sequence[TagDescription | Fragment]


class DiskInfo(TypedDict, total=False):
    SizeInGB: int
    Count: int
    Type: str


class EbsBlockDevice(TypedDict, total=False):
    DeleteOnTermination: bool
    Iops: int
    SnapshotId: str
    VolumeSize: int
    VolumeType: str
    KmsKeyId: str
    Throughput: int
    OutpostArn: str
    AvailabilityZone: str
    Encrypted: bool
    VolumeInitializationRate: int
    AvailabilityZoneId: str
    EbsCardIndex: int


class EbsCardInfo(TypedDict, total=False):
    EbsCardIndex: int
    BaselineBandwidthInMbps: int
    BaselineThroughputInMBps: float | Decimal
    BaselineIops: int
    MaximumBandwidthInMbps: int
    MaximumThroughputInMBps: float | Decimal
    MaximumIops: int


class EbsInfo(TypedDict, total=False):
    EbsOptimizedSupport: str
    EncryptionSupport: str
    EbsOptimizedInfo: EbsOptimizedInfo | Fragment
    NvmeSupport: str
    MaximumEbsAttachments: int
    AttachmentLimitType: str
    MaximumEbsCards: int
    EbsCards: Sequence[EbsCardInfo | Fragment]


class EbsInstanceBlockDevice(TypedDict, total=False):
    AttachTime: datetime
    DeleteOnTermination: bool
    Status: str
    VolumeId: str
    AssociatedResource: str
    VolumeOwnerId: str
    Operator: OperatorResponse | Fragment
    EbsCardIndex: int


class EbsOptimizedInfo(TypedDict, total=False):
    BaselineBandwidthInMbps: int
    BaselineThroughputInMBps: float | Decimal
    BaselineIops: int
    MaximumBandwidthInMbps: int
    MaximumThroughputInMBps: float | Decimal
    MaximumIops: int


class EbsStatusDetails(TypedDict, total=False):
    ImpairedSince: datetime
    Name: str
    Status: str


class EbsStatusSummary(TypedDict, total=False):
    Details: Sequence[EbsStatusDetails | Fragment]
    Status: str


class EfaInfo(TypedDict, total=False):
    MaximumEfaInterfaces: int


class ElasticGpuAssociation(TypedDict, total=False):
    ElasticGpuId: str
    ElasticGpuAssociationId: str
    ElasticGpuAssociationState: str
    ElasticGpuAssociationTime: str


class ElasticGpuSpecification(TypedDict, total=False):
    Type: str


class ElasticInferenceAccelerator(TypedDict, total=False):
    Type: str
    Count: int


class ElasticInferenceAcceleratorAssociation(TypedDict, total=False):
    ElasticInferenceAcceleratorArn: str
    ElasticInferenceAcceleratorAssociationId: str
    ElasticInferenceAcceleratorAssociationState: str
    ElasticInferenceAcceleratorAssociationTime: datetime


class EnaSrdSpecificationRequest(TypedDict, total=False):
    EnaSrdEnabled: bool
    EnaSrdUdpSpecification: EnaSrdUdpSpecificationRequest


class EnaSrdUdpSpecificationRequest(TypedDict, total=False):
    EnaSrdUdpEnabled: bool


class EnclaveOptions(TypedDict, total=False):
    Enabled: bool


class EnclaveOptionsRequest(TypedDict, total=False):
    Enabled: bool


class Filter(TypedDict, total=False):
    Name: str
    Values: list[str]


class FpgaDeviceInfo(TypedDict, total=False):
    Name: str
    Manufacturer: str
    Count: int
    MemoryInfo: FpgaDeviceMemoryInfo | Fragment


class FpgaDeviceMemoryInfo(TypedDict, total=False):
    SizeInMiB: int


class FpgaInfo(TypedDict, total=False):
    Fpgas: Sequence[FpgaDeviceInfo | Fragment]
    TotalFpgaMemoryInMiB: int


class GpuDeviceInfo(TypedDict, total=False):
    Name: str
    Manufacturer: str
    Count: int
    LogicalGpuCount: int
    GpuPartitionSize: float | Decimal
    Workloads: Sequence[str]
    MemoryInfo: GpuDeviceMemoryInfo | Fragment


class GpuDeviceMemoryInfo(TypedDict, total=False):
    SizeInMiB: int


class GpuInfo(TypedDict, total=False):
    Gpus: Sequence[GpuDeviceInfo | Fragment]
    TotalGpuMemoryInMiB: int


class GroupIdentifier(TypedDict, total=False):
    GroupId: str
    GroupName: str


class HibernationOptions(TypedDict, total=False):
    Configured: bool


class HibernationOptionsRequest(TypedDict, total=False):
    Configured: bool


class IamInstanceProfile(TypedDict, total=False):
    Arn: str
    Id: str


class IamInstanceProfileSpecification(TypedDict, total=False):
    Arn: str
    Name: str


class Image(TypedDict, total=False):
    PlatformDetails: str
    UsageOperation: str
    BlockDeviceMappings: Sequence[BlockDeviceMapping | Fragment]
    Description: str
    EnaSupport: bool
    Hypervisor: str
    ImageOwnerAlias: str
    Name: str
    RootDeviceName: str
    RootDeviceType: str
    SriovNetSupport: str
    StateReason: StateReason | Fragment
    Tags: Sequence[Tag | Fragment]
    VirtualizationType: str
    BootMode: str
    TpmSupport: str
    DeprecationTime: str
    ImdsSupport: str
    SourceInstanceId: str
    DeregistrationProtection: str
    LastLaunchedTime: str
    ImageAllowed: bool
    SourceImageId: str
    SourceImageRegion: str
    FreeTierEligible: bool
    PublicSsmParameterName: str
    ImageWatermarks: Sequence[ImageWatermark | Fragment]
    ScanResults: ScanResults | Fragment
    InstanceTypeSpecification: InstanceTypeSpecification | Fragment
    ImageId: str
    ImageLocation: str
    State: str
    OwnerId: str
    CreationDate: str
    Public: bool
    ProductCodes: Sequence[ProductCode | Fragment]
    Architecture: str
    ImageType: str
    KernelId: str
    RamdiskId: str
    Platform: str


class ImageWatermark(TypedDict, total=False):
    WatermarkKey: str
    SourceImageRegion: str
    SourceImageId: str
    SourceImageCreationTime: datetime
    WatermarkCreationTime: datetime


class ImportKeyPairRequest(TypedDict, total=False):
    TagSpecifications: list[TagSpecification]
    DryRun: bool
    KeyName: str
    PublicKeyMaterial: bytes


class ImportKeyPairResult(TypedDict, total=False):
    KeyFingerprint: str
    KeyName: str
    KeyPairId: str
    Tags: Sequence[Tag | Fragment]


class InferenceAcceleratorInfo(TypedDict, total=False):
    Accelerators: Sequence[InferenceDeviceInfo | Fragment]
    TotalInferenceMemoryInMiB: int


class InferenceDeviceInfo(TypedDict, total=False):
    Count: int
    Name: str
    Manufacturer: str
    MemoryInfo: InferenceDeviceMemoryInfo | Fragment


class InferenceDeviceMemoryInfo(TypedDict, total=False):
    SizeInMiB: int


class Instance(TypedDict, total=False):
    Architecture: str
    BlockDeviceMappings: Sequence[InstanceBlockDeviceMapping | Fragment]
    ClientToken: str
    EbsOptimized: bool
    EnaSupport: bool
    Hypervisor: str
    IamInstanceProfile: IamInstanceProfile | Fragment
    InstanceLifecycle: str
    ElasticGpuAssociations: Sequence[ElasticGpuAssociation | Fragment]
    ElasticInferenceAcceleratorAssociations: Sequence[ElasticInferenceAcceleratorAssociation | Fragment]
    NetworkInterfaces: Sequence[InstanceNetworkInterface | Fragment]
    OutpostArn: str
    RootDeviceName: str
    RootDeviceType: str
    SecurityGroups: Sequence[GroupIdentifier | Fragment]
    SourceDestCheck: bool
    SpotInstanceRequestId: str
    SriovNetSupport: str
    StateReason: StateReason | Fragment
    Tags: Sequence[Tag | Fragment]
    VirtualizationType: str
    CpuOptions: CpuOptions | Fragment
    CapacityBlockId: str
    CapacityReservationId: str
    CapacityReservationSpecification: CapacityReservationSpecificationResponse | Fragment
    HibernationOptions: HibernationOptions | Fragment
    Licenses: Sequence[LicenseConfiguration | Fragment]
    MetadataOptions: InstanceMetadataOptionsResponse | Fragment
    EnclaveOptions: EnclaveOptions | Fragment
    BootMode: str
    PlatformDetails: str
    UsageOperation: str
    UsageOperationUpdateTime: datetime
    PrivateDnsNameOptions: PrivateDnsNameOptionsResponse | Fragment
    Ipv6Address: str
    TpmSupport: str
    MaintenanceOptions: InstanceMaintenanceOptions | Fragment
    CurrentInstanceBootMode: str
    NetworkPerformanceOptions: InstanceNetworkPerformanceOptions | Fragment
    Operator: OperatorResponse | Fragment
    SecondaryInterfaces: Sequence[InstanceSecondaryInterface | Fragment]
    InstanceId: str
    ImageId: str
    State: InstanceState | Fragment
    PrivateDnsName: str
    PublicDnsName: str
    StateTransitionReason: str
    KeyName: str
    AmiLaunchIndex: int
    ProductCodes: Sequence[ProductCode | Fragment]
    InstanceType: str
    LaunchTime: datetime
    Placement: Placement | Fragment
    KernelId: str
    RamdiskId: str
    Platform: str
    Monitoring: Monitoring | Fragment
    SubnetId: str
    VpcId: str
    PrivateIpAddress: str
    PublicIpAddress: str


class InstanceAttachmentEnaSrdSpecification(TypedDict, total=False):
    EnaSrdEnabled: bool
    EnaSrdUdpSpecification: InstanceAttachmentEnaSrdUdpSpecification | Fragment


class InstanceAttachmentEnaSrdUdpSpecification(TypedDict, total=False):
    EnaSrdUdpEnabled: bool


class InstanceBlockDeviceMapping(TypedDict, total=False):
    DeviceName: str
    Ebs: EbsInstanceBlockDevice | Fragment


class InstanceIpv4Prefix(TypedDict, total=False):
    Ipv4Prefix: str


class InstanceIpv6Address(TypedDict, total=False):
    Ipv6Address: str
    IsPrimaryIpv6: bool


class InstanceIpv6Prefix(TypedDict, total=False):
    Ipv6Prefix: str


class InstanceMaintenanceOptions(TypedDict, total=False):
    AutoRecovery: str
    RebootMigration: str


class InstanceMaintenanceOptionsRequest(TypedDict, total=False):
    AutoRecovery: str


class InstanceMarketOptionsRequest(TypedDict, total=False):
    MarketType: str
    SpotOptions: SpotMarketOptions


class InstanceMetadataOptionsRequest(TypedDict, total=False):
    HttpTokens: str
    HttpPutResponseHopLimit: int
    HttpEndpoint: str
    HttpProtocolIpv6: str
    InstanceMetadataTags: str


class InstanceMetadataOptionsResponse(TypedDict, total=False):
    State: str
    HttpTokens: str
    HttpPutResponseHopLimit: int
    HttpEndpoint: str
    HttpProtocolIpv6: str
    InstanceMetadataTags: str


class InstanceNetworkInterface(TypedDict, total=False):
    Association: InstanceNetworkInterfaceAssociation | Fragment
    Attachment: InstanceNetworkInterfaceAttachment | Fragment
    Description: str
    Groups: Sequence[GroupIdentifier | Fragment]
    Ipv6Addresses: Sequence[InstanceIpv6Address | Fragment]
    MacAddress: str
    NetworkInterfaceId: str
    OwnerId: str
    PrivateDnsName: str
    PrivateIpAddress: str
    PrivateIpAddresses: Sequence[InstancePrivateIpAddress | Fragment]
    SourceDestCheck: bool
    Status: str
    SubnetId: str
    VpcId: str
    InterfaceType: str
    Ipv4Prefixes: Sequence[InstanceIpv4Prefix | Fragment]
    Ipv6Prefixes: Sequence[InstanceIpv6Prefix | Fragment]
    ConnectionTrackingConfiguration: ConnectionTrackingSpecificationResponse | Fragment
    Operator: OperatorResponse | Fragment


class InstanceNetworkInterfaceAssociation(TypedDict, total=False):
    CarrierIp: str
    CustomerOwnedIp: str
    IpOwnerId: str
    PublicDnsName: str
    PublicIp: str


class InstanceNetworkInterfaceAttachment(TypedDict, total=False):
    AttachTime: datetime
    AttachmentId: str
    DeleteOnTermination: bool
    DeviceIndex: int
    Status: str
    NetworkCardIndex: int
    EnaSrdSpecification: InstanceAttachmentEnaSrdSpecification | Fragment
    EnaQueueCount: int


class InstanceNetworkInterfaceSpecification(TypedDict, total=False):
    AssociatePublicIpAddress: bool
    DeleteOnTermination: bool
    Description: str
    DeviceIndex: int
    Groups: list[str]
    Ipv6AddressCount: int
    Ipv6Addresses: list[InstanceIpv6Address]
    NetworkInterfaceId: str
    PrivateIpAddress: str
    PrivateIpAddresses: list[PrivateIpAddressSpecification]
    SecondaryPrivateIpAddressCount: int
    SubnetId: str
    AssociateCarrierIpAddress: bool
    InterfaceType: str
    NetworkCardIndex: int
    Ipv4Prefixes: list[Ipv4PrefixSpecificationRequest]
    Ipv4PrefixCount: int
    Ipv6Prefixes: list[Ipv6PrefixSpecificationRequest]
    Ipv6PrefixCount: int
    PrimaryIpv6: bool
    EnaSrdSpecification: EnaSrdSpecificationRequest
    ConnectionTrackingSpecification: ConnectionTrackingSpecificationRequest
    EnaQueueCount: int


class InstanceNetworkPerformanceOptions(TypedDict, total=False):
    BandwidthWeighting: str


class InstanceNetworkPerformanceOptionsRequest(TypedDict, total=False):
    BandwidthWeighting: str


class InstancePrivateIpAddress(TypedDict, total=False):
    Association: InstanceNetworkInterfaceAssociation | Fragment
    Primary: bool
    PrivateDnsName: str
    PrivateIpAddress: str


class InstanceSecondaryInterface(TypedDict, total=False):
    Attachment: InstanceSecondaryInterfaceAttachment | Fragment
    MacAddress: str
    SecondaryInterfaceId: str
    OwnerId: str
    PrivateIpAddresses: Sequence[InstanceSecondaryInterfacePrivateIpAddress | Fragment]
    SourceDestCheck: bool
    Status: str
    SecondarySubnetId: str
    SecondaryNetworkId: str
    InterfaceType: str


class InstanceSecondaryInterfaceAttachment(TypedDict, total=False):
    AttachTime: datetime
    AttachmentId: str
    DeleteOnTermination: bool
    DeviceIndex: int
    Status: str
    NetworkCardIndex: int


class InstanceSecondaryInterfacePrivateIpAddress(TypedDict, total=False):
    PrivateIpAddress: str


class InstanceSecondaryInterfacePrivateIpAddressRequest(TypedDict, total=False):
    PrivateIpAddress: str


class InstanceSecondaryInterfaceSpecificationRequest(TypedDict, total=False):
    DeleteOnTermination: bool
    DeviceIndex: int
    PrivateIpAddresses: list[InstanceSecondaryInterfacePrivateIpAddressRequest]
    PrivateIpAddressCount: int
    SecondarySubnetId: str
    InterfaceType: str
    NetworkCardIndex: int


class InstanceState(TypedDict, total=False):
    Code: int
    Name: str


class InstanceStateChange(TypedDict, total=False):
    InstanceId: str
    CurrentState: InstanceState | Fragment
    PreviousState: InstanceState | Fragment


class InstanceStatus(TypedDict, total=False):
    AvailabilityZone: str
    AvailabilityZoneId: str
    OutpostArn: str
    Operator: OperatorResponse | Fragment
    Events: Sequence[InstanceStatusEvent | Fragment]
    InstanceId: str
    InstanceState: InstanceState | Fragment
    InstanceStatus: InstanceStatusSummary | Fragment
    SystemStatus: InstanceStatusSummary | Fragment
    AttachedEbsStatus: EbsStatusSummary | Fragment
    ApplicationStatus: ApplicationStatusSummary | Fragment
    PerformanceStatus: PerformanceStatusSummary | Fragment


class InstanceStatusDetails(TypedDict, total=False):
    ImpairedSince: datetime
    Name: str
    Status: str


class InstanceStatusEvent(TypedDict, total=False):
    InstanceEventId: str
    Code: str
    Description: str
    NotAfter: datetime
    NotBefore: datetime
    NotBeforeDeadline: datetime


class InstanceStatusSummary(TypedDict, total=False):
    Details: Sequence[InstanceStatusDetails | Fragment]
    Status: str


class InstanceStorageInfo(TypedDict, total=False):
    TotalSizeInGB: int
    Disks: Sequence[DiskInfo | Fragment]
    NvmeSupport: str
    EncryptionSupport: str


class InstanceTypeInfo(TypedDict, total=False):
    InstanceType: str
    CurrentGeneration: bool
    FreeTierEligible: bool
    SupportedUsageClasses: Sequence[str]
    SupportedRootDeviceTypes: Sequence[str]
    SupportedVirtualizationTypes: Sequence[str]
    BareMetal: bool
    Hypervisor: str
    ProcessorInfo: ProcessorInfo | Fragment
    VCpuInfo: VCpuInfo | Fragment
    MemoryInfo: MemoryInfo | Fragment
    InstanceStorageSupported: bool
    InstanceStorageInfo: InstanceStorageInfo | Fragment
    EbsInfo: EbsInfo | Fragment
    NetworkInfo: NetworkInfo | Fragment
    GpuInfo: GpuInfo | Fragment
    FpgaInfo: FpgaInfo | Fragment
    PlacementGroupInfo: PlacementGroupInfo | Fragment
    InferenceAcceleratorInfo: InferenceAcceleratorInfo | Fragment
    HibernationSupported: bool
    BurstablePerformanceSupported: bool
    DedicatedHostsSupported: bool
    AutoRecoverySupported: bool
    SupportedBootModes: Sequence[str]
    NitroEnclavesSupport: str
    NitroTpmSupport: str
    NitroTpmInfo: NitroTpmInfo | Fragment
    MediaAcceleratorInfo: MediaAcceleratorInfo | Fragment
    NeuronInfo: NeuronInfo | Fragment
    PhcSupport: str
    RebootMigrationSupport: str
    SupportedInRegion: bool


class InstanceTypeItem(TypedDict, total=False):
    InstanceType: str


class InstanceTypeSpecification(TypedDict, total=False):
    SupportedInstanceTypes: Sequence[InstanceTypeItem | Fragment]
    UnsupportedInstanceTypes: Sequence[InstanceTypeItem | Fragment]


class Ipv4PrefixSpecificationRequest(TypedDict, total=False):
    Ipv4Prefix: str


class Ipv6PrefixSpecificationRequest(TypedDict, total=False):
    Ipv6Prefix: str


class KeyPair(TypedDict, total=False):
    KeyPairId: str
    Tags: Sequence[Tag | Fragment]
    KeyName: str
    KeyFingerprint: str
    KeyMaterial: str


class KeyPairInfo(TypedDict, total=False):
    KeyPairId: str
    KeyType: str
    Tags: Sequence[Tag | Fragment]
    PublicKey: str
    CreateTime: datetime
    KeyName: str
    KeyFingerprint: str


class LaunchTemplateSpecification(TypedDict, total=False):
    LaunchTemplateId: str
    LaunchTemplateName: str
    Version: str


class LicenseConfiguration(TypedDict, total=False):
    LicenseConfigurationArn: str


class LicenseConfigurationRequest(TypedDict, total=False):
    LicenseConfigurationArn: str


class MediaAcceleratorInfo(TypedDict, total=False):
    Accelerators: Sequence[MediaDeviceInfo | Fragment]
    TotalMediaMemoryInMiB: int


class MediaDeviceInfo(TypedDict, total=False):
    Count: int
    Name: str
    Manufacturer: str
    MemoryInfo: MediaDeviceMemoryInfo | Fragment


class MediaDeviceMemoryInfo(TypedDict, total=False):
    SizeInMiB: int


class MemoryInfo(TypedDict, total=False):
    SizeInMiB: int


class Monitoring(TypedDict, total=False):
    MetricCategoryIds: Sequence[str]
    State: str


class NetworkCardInfo(TypedDict, total=False):
    NetworkCardIndex: int
    NetworkPerformance: str
    MaximumNetworkInterfaces: int
    AdditionalFlexibleNetworkInterfaces: int
    BaselineBandwidthInGbps: float | Decimal
    PeakBandwidthInGbps: float | Decimal
    DefaultEnaQueueCountPerInterface: int
    MaximumEnaQueueCount: int
    MaximumEnaQueueCountPerInterface: int
    InterfaceTypes: Sequence[str]


class NetworkInfo(TypedDict, total=False):
    NetworkPerformance: str
    MaximumNetworkInterfaces: int
    MaximumNetworkCards: int
    DefaultNetworkCardIndex: int
    NetworkCards: Sequence[NetworkCardInfo | Fragment]
    Ipv4AddressesPerInterface: int
    Ipv6AddressesPerInterface: int
    Ipv6Supported: bool
    EnaSupport: str
    EfaSupported: bool
    EfaInfo: EfaInfo | Fragment
    EncryptionInTransitSupported: bool
    EnaSrdSupported: bool
    BandwidthWeightings: Sequence[str]
    FlexibleEnaQueuesSupport: str
    ConnectionTrackingConfiguration: DefaultConnectionTrackingConfiguration | Fragment
    SecondaryNetworkSupported: bool
    MaximumSecondaryNetworkInterfaces: int
    Ipv4AddressesPerSecondaryInterface: int


class NeuronDeviceCoreInfo(TypedDict, total=False):
    Count: int
    Version: int


class NeuronDeviceInfo(TypedDict, total=False):
    Count: int
    Name: str
    CoreInfo: NeuronDeviceCoreInfo | Fragment
    MemoryInfo: NeuronDeviceMemoryInfo | Fragment


class NeuronDeviceMemoryInfo(TypedDict, total=False):
    SizeInMiB: int


class NeuronInfo(TypedDict, total=False):
    NeuronDevices: Sequence[NeuronDeviceInfo | Fragment]
    TotalNeuronDeviceMemoryInMiB: int


class NitroTpmInfo(TypedDict, total=False):
    SupportedVersions: Sequence[str]


class OperatorRequest(TypedDict, total=False):
    Principal: str


class OperatorResponse(TypedDict, total=False):
    Managed: bool
    Principal: str
    HiddenByDefault: bool


class PerformanceStatusSummary(TypedDict, total=False):
    Status: str
    ImpairedSince: datetime
    Remediation: str


class Placement(TypedDict, total=False):
    AvailabilityZoneId: str
    Affinity: str
    GroupName: str
    PartitionNumber: int
    HostId: str
    Tenancy: str
    SpreadDomain: str
    HostResourceGroupArn: str
    GroupId: str
    AvailabilityZone: str


class PlacementGroupInfo(TypedDict, total=False):
    SupportedStrategies: Sequence[str]


class PrivateDnsNameOptionsRequest(TypedDict, total=False):
    HostnameType: str
    EnableResourceNameDnsARecord: bool
    EnableResourceNameDnsAAAARecord: bool


class PrivateDnsNameOptionsResponse(TypedDict, total=False):
    HostnameType: str
    EnableResourceNameDnsARecord: bool
    EnableResourceNameDnsAAAARecord: bool


class PrivateIpAddressSpecification(TypedDict, total=False):
    Primary: bool
    PrivateIpAddress: str


class ProcessorInfo(TypedDict, total=False):
    SupportedArchitectures: Sequence[str]
    SustainedClockSpeedInGhz: float | Decimal
    SupportedFeatures: Sequence[str]
    Manufacturer: str


class ProductCode(TypedDict, total=False):
    ProductCodeId: str
    ProductCodeType: str


class RebootInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    DryRun: bool


class Region(TypedDict, total=False):
    OptInStatus: str
    Geography: Sequence[RegionGeography | Fragment]
    RegionName: str
    Endpoint: str


class RegionGeography(TypedDict, total=False):
    Name: str


class Reservation(TypedDict, total=False):
    ReservationId: str
    OwnerId: str
    RequesterId: str
    Groups: Sequence[GroupIdentifier | Fragment]
    Instances: Sequence[Instance | Fragment]


class RunInstancesMonitoringEnabled(TypedDict, total=False):
    MetricCategoryIds: list[str]
    Enabled: bool


class RunInstancesRequest(TypedDict, total=False):
    BlockDeviceMappings: list[BlockDeviceMapping]
    ImageId: str
    InstanceType: str
    Ipv6AddressCount: int
    Ipv6Addresses: list[InstanceIpv6Address]
    KernelId: str
    KeyName: str
    MaxCount: int
    MinCount: int
    Monitoring: RunInstancesMonitoringEnabled
    Placement: Placement
    RamdiskId: str
    SecurityGroupIds: list[str]
    SecurityGroups: list[str]
    SubnetId: str
    UserData: str
    ElasticGpuSpecification: list[ElasticGpuSpecification]
    ElasticInferenceAccelerators: list[ElasticInferenceAccelerator]
    TagSpecifications: list[TagSpecification]
    LaunchTemplate: LaunchTemplateSpecification
    InstanceMarketOptions: InstanceMarketOptionsRequest
    CreditSpecification: CreditSpecificationRequest
    CpuOptions: CpuOptionsRequest
    CapacityReservationSpecification: CapacityReservationSpecification
    HibernationOptions: HibernationOptionsRequest
    LicenseSpecifications: list[LicenseConfigurationRequest]
    MetadataOptions: InstanceMetadataOptionsRequest
    EnclaveOptions: EnclaveOptionsRequest
    PrivateDnsNameOptions: PrivateDnsNameOptionsRequest
    MaintenanceOptions: InstanceMaintenanceOptionsRequest
    DisableApiStop: bool
    EnablePrimaryIpv6: bool
    NetworkPerformanceOptions: InstanceNetworkPerformanceOptionsRequest
    Operator: OperatorRequest
    SecondaryInterfaces: list[InstanceSecondaryInterfaceSpecificationRequest]
    DryRun: bool
    DisableApiTermination: bool
    InstanceInitiatedShutdownBehavior: str
    PrivateIpAddress: str
    ClientToken: str
    AdditionalInfo: str
    NetworkInterfaces: list[InstanceNetworkInterfaceSpecification]
    IamInstanceProfile: IamInstanceProfileSpecification
    EbsOptimized: bool


class ScanResults(TypedDict, total=False):
    HighestFindingSeverityLabel: str
    FindingScanDate: datetime
    InformationalFixAvailableSince: datetime
    LowFixAvailableSince: datetime
    MediumFixAvailableSince: datetime
    HighFixAvailableSince: datetime
    CriticalFixAvailableSince: datetime


class SpotMarketOptions(TypedDict, total=False):
    MaxPrice: str
    SpotInstanceType: str
    BlockDurationMinutes: int
    ValidUntil: datetime
    InstanceInterruptionBehavior: str


class StartInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    AdditionalInfo: str
    DryRun: bool


class StartInstancesResult(TypedDict, total=False):
    StartingInstances: Sequence[InstanceStateChange | Fragment]


class StateReason(TypedDict, total=False):
    Code: str
    Message: str


class StopInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    Hibernate: bool
    SkipOsShutdown: bool
    DryRun: bool
    Force: bool


class StopInstancesResult(TypedDict, total=False):
    StoppingInstances: Sequence[InstanceStateChange | Fragment]


class Tag(TypedDict, total=False):
    Key: str
    Value: str


class TagDescription(TypedDict, total=False):
    Key: str
    ResourceId: str
    ResourceType: str
    Value: str


class TagSpecification(TypedDict, total=False):
    ResourceType: str
    Tags: list[Tag]


class TerminateInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    Force: bool
    SkipOsShutdown: bool
    DryRun: bool


class TerminateInstancesResult(TypedDict, total=False):
    TerminatingInstances: Sequence[InstanceStateChange | Fragment]


class VCpuInfo(TypedDict, total=False):
    DefaultVCpus: int
    DefaultCores: int
    DefaultThreadsPerCore: int
    ValidCores: Sequence[int]
    ValidThreadsPerCore: Sequence[int]


class Credentials(TypedDict, total=False):
    AccessKeyId: str
    SecretAccessKey: str
    SessionToken: str
    Expiration: datetime


class GetCallerIdentityRequest(TypedDict, total=False):
    pass


class GetCallerIdentityResponse(TypedDict, total=False):
    UserId: str
    Account: str
    Arn: str


class GetSessionTokenRequest(TypedDict, total=False):
    DurationSeconds: int
    SerialNumber: str
    TokenCode: str
    MinimumSessionTokenSize: int


class GetSessionTokenResponse(TypedDict, total=False):
    Credentials: Credentials | Fragment
    SessionTokenUtilization: int
    SessionTokenSize: int
