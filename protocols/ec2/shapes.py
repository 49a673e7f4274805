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


class AccountAttribute(TypedDict, total=False):
    AttributeName: str
    AttributeValues: Sequence[AccountAttributeValue | Fragment]


class AccountAttributeValue(TypedDict, total=False):
    AttributeValue: str


class Address(TypedDict, total=False):
    AllocationId: str
    AssociationId: str
    Domain: str
    NetworkInterfaceId: str
    NetworkInterfaceOwnerId: str
    PrivateIpAddress: str
    Tags: Sequence[Tag | Fragment]
    PublicIpv4Pool: str
    NetworkBorderGroup: str
    CustomerOwnedIp: str
    CustomerOwnedIpv4Pool: str
    CarrierIp: str
    SubnetId: str
    ServiceManaged: str
    InstanceId: str
    PublicIp: str


class AddressAttribute(TypedDict, total=False):
    PublicIp: str
    AllocationId: str
    PtrRecord: str
    PtrRecordUpdate: PtrUpdateStatus | Fragment


class AllocateAddressRequest(TypedDict, total=False):
    Domain: str
    Address: str
    PublicIpv4Pool: str
    NetworkBorderGroup: str
    CustomerOwnedIpv4Pool: str
    TagSpecifications: list[TagSpecification]
    IpamPoolId: str
    DryRun: bool


class AllocateAddressResult(TypedDict, total=False):
    AllocationId: str
    PublicIpv4Pool: str
    NetworkBorderGroup: str
    Domain: str
    CustomerOwnedIp: str
    CustomerOwnedIpv4Pool: str
    CarrierIp: str
    PublicIp: str


class ApplicationStatusSummary(TypedDict, total=False):
    Status: str
    ImpairedSince: datetime


class AssociateAddressRequest(TypedDict, total=False):
    AllocationId: str
    InstanceId: str
    PublicIp: str
    DryRun: bool
    NetworkInterfaceId: str
    PrivateIpAddress: str
    AllowReassociation: bool


class AssociateAddressResult(TypedDict, total=False):
    AssociationId: str


class AttachmentEnaSrdSpecification(TypedDict, total=False):
    EnaSrdEnabled: bool
    EnaSrdUdpSpecification: AttachmentEnaSrdUdpSpecification | Fragment


class AttachmentEnaSrdUdpSpecification(TypedDict, total=False):
    EnaSrdUdpEnabled: bool


class AttributeBooleanValue(TypedDict, total=False):
    Value: bool


class AttributeValue(TypedDict, total=False):
    Value: str


class AuthorizeSecurityGroupEgressRequest(TypedDict, total=False):
    TagSpecifications: list[TagSpecification]
    DryRun: bool
    GroupId: str
    SourceSecurityGroupName: str
    SourceSecurityGroupOwnerId: str
    IpProtocol: str
    FromPort: int
    ToPort: int
    CidrIp: str
    IpPermissions: list[IpPermission]


class AuthorizeSecurityGroupEgressResult(TypedDict, total=False):
    Return: bool
    SecurityGroupRules: Sequence[SecurityGroupRule | Fragment]


class AuthorizeSecurityGroupIngressRequest(TypedDict, total=False):
    CidrIp: str
    FromPort: int
    GroupId: str
    GroupName: str
    IpPermissions: list[IpPermission]
    IpProtocol: str
    SourceSecurityGroupName: str
    SourceSecurityGroupOwnerId: str
    ToPort: int
    TagSpecifications: list[TagSpecification]
    DryRun: bool


class AuthorizeSecurityGroupIngressResult(TypedDict, total=False):
    Return: bool
    SecurityGroupRules: Sequence[SecurityGroupRule | Fragment]


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


class BlockPublicAccessStates(TypedDict, total=False):
    InternetGatewayBlockMode: str


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


class ConnectionTrackingConfiguration(TypedDict, total=False):
    TcpEstablishedTimeout: int
    UdpStreamTimeout: int
    UdpTimeout: int


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


class CreateSecurityGroupRequest(TypedDict, total=False):
    Description: str
    GroupName: str
    VpcId: str
    TagSpecifications: list[TagSpecification]
    DryRun: bool


class CreateSecurityGroupResult(TypedDict, total=False):
    GroupId: str
    Tags: Sequence[Tag | Fragment]
    SecurityGroupArn: str


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


class DeleteSecurityGroupRequest(TypedDict, total=False):
    GroupId: str
    GroupName: str
    DryRun: bool


class DeleteSecurityGroupResult(TypedDict, total=False):
    Return: bool
    GroupId: str


class DeleteTagsRequest(TypedDict, total=False):
    DryRun: bool
    Resources: list[str]
    Tags: list[Tag]


class DeleteVolumeRequest(TypedDict, total=False):
    VolumeId: str
    DryRun: bool


class DescribeAccountAttributesRequest(TypedDict, total=False):
    DryRun: bool
    AttributeNames: list[str]


class DescribeAccountAttributesResult(TypedDict, total=False):
    AccountAttributes: Sequence[AccountAttribute | Fragment]


class DescribeAddressesAttributeRequest(TypedDict, total=False):
    AllocationIds: list[str]
    Attribute: str
    NextToken: str
    MaxResults: int
    DryRun: bool


class DescribeAddressesAttributeResult(TypedDict, total=False):
    Addresses: Sequence[AddressAttribute | Fragment]
    NextToken: str


class DescribeAddressesRequest(TypedDict, total=False):
    PublicIps: list[str]
    DryRun: bool
    Filters: list[Filter]
    AllocationIds: list[str]


class DescribeAddressesResult(TypedDict, total=False):
    Addresses: Sequence[Address | Fragment]


class DescribeAvailabilityZonesRequest(TypedDict, total=False):
    ZoneNames: list[str]
    ZoneIds: list[str]
    AllAvailabilityZones: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeAvailabilityZonesResult(TypedDict, total=False):
    AvailabilityZones: Sequence[AvailabilityZone | Fragment]


class DescribeImageAttributeRequest(TypedDict, total=False):
    Attribute: str
    ImageId: str
    DryRun: bool


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


class DescribeInstanceAttributeRequest(TypedDict, total=False):
    DryRun: bool
    InstanceId: str
    Attribute: str


class DescribeInstanceCreditSpecificationsRequest(TypedDict, total=False):
    DryRun: bool
    Filters: list[Filter]
    InstanceIds: list[str]
    MaxResults: int
    NextToken: str


class DescribeInstanceCreditSpecificationsResult(TypedDict, total=False):
    InstanceCreditSpecifications: Sequence[InstanceCreditSpecification | Fragment]
    NextToken: str


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


class DescribeInstanceTypeOfferingsRequest(TypedDict, total=False):
    DryRun: bool
    LocationType: str
    Filters: list[Filter]
    MaxResults: int
    NextToken: str


class DescribeInstanceTypeOfferingsResult(TypedDict, total=False):
    InstanceTypeOfferings: Sequence[InstanceTypeOffering | Fragment]
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


class DescribeInternetGatewaysRequest(TypedDict, total=False):
    NextToken: str
    MaxResults: int
    DryRun: bool
    InternetGatewayIds: list[str]
    Filters: list[Filter]


class DescribeInternetGatewaysResult(TypedDict, total=False):
    InternetGateways: Sequence[InternetGateway | Fragment]
    NextToken: str


class DescribeKeyPairsRequest(TypedDict, total=False):
    KeyNames: list[str]
    KeyPairIds: list[str]
    IncludePublicKey: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeKeyPairsResult(TypedDict, total=False):
    KeyPairs: Sequence[KeyPairInfo | Fragment]


class DescribeNetworkAclsRequest(TypedDict, total=False):
    NextToken: str
    MaxResults: int
    DryRun: bool
    NetworkAclIds: list[str]
    Filters: list[Filter]


class DescribeNetworkAclsResult(TypedDict, total=False):
    NetworkAcls: Sequence[NetworkAcl | Fragment]
    NextToken: str


class DescribeNetworkInterfaceAttributeRequest(TypedDict, total=False):
    DryRun: bool
    NetworkInterfaceId: str
    Attribute: str


class DescribeNetworkInterfaceAttributeResult(TypedDict, total=False):
    Attachment: NetworkInterfaceAttachment | Fragment
    Description: AttributeValue | Fragment
    Groups: Sequence[GroupIdentifier | Fragment]
    NetworkInterfaceId: str
    SourceDestCheck: AttributeBooleanValue | Fragment
    AssociatePublicIpAddress: bool


class DescribeNetworkInterfacesRequest(TypedDict, total=False):
    NextToken: str
    MaxResults: int
    IncludeManagedResources: bool
    DryRun: bool
    NetworkInterfaceIds: list[str]
    Filters: list[Filter]


class DescribeNetworkInterfacesResult(TypedDict, total=False):
    NetworkInterfaces: Sequence[NetworkInterface | Fragment]
    NextToken: str


class DescribeRegionsRequest(TypedDict, total=False):
    RegionNames: list[str]
    AllRegions: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeRegionsResult(TypedDict, total=False):
    Regions: Sequence[Region | Fragment]


class DescribeReservedInstancesRequest(TypedDict, total=False):
    OfferingClass: str
    ReservedInstancesIds: list[str]
    DryRun: bool
    Filters: list[Filter]
    OfferingType: str


class DescribeReservedInstancesResult(TypedDict, total=False):
    ReservedInstances: Sequence[ReservedInstances | Fragment]


class DescribeRouteTablesRequest(TypedDict, total=False):
    NextToken: str
    MaxResults: int
    DryRun: bool
    RouteTableIds: list[str]
    Filters: list[Filter]


class DescribeRouteTablesResult(TypedDict, total=False):
    RouteTables: Sequence[RouteTable | Fragment]
    NextToken: str


class DescribeSecurityGroupRulesRequest(TypedDict, total=False):
    Filters: list[Filter]
    SecurityGroupRuleIds: list[str]
    DryRun: bool
    NextToken: str
    MaxResults: int


class DescribeSecurityGroupRulesResult(TypedDict, total=False):
    SecurityGroupRules: Sequence[SecurityGroupRule | Fragment]
    NextToken: str


class DescribeSecurityGroupsRequest(TypedDict, total=False):
    GroupIds: list[str]
    GroupNames: list[str]
    NextToken: str
    MaxResults: int
    DryRun: bool
    Filters: list[Filter]


class DescribeSecurityGroupsResult(TypedDict, total=False):
    NextToken: str
    SecurityGroups: Sequence[SecurityGroup | Fragment]


class DescribeSubnetsRequest(TypedDict, total=False):
    Filters: list[Filter]
    SubnetIds: list[str]
    NextToken: str
    MaxResults: int
    DryRun: bool


class DescribeSubnetsResult(TypedDict, total=False):
    NextToken: str
    Subnets: Sequence[Subnet | Fragment]


class DescribeTagsRequest(TypedDict, total=False):
    DryRun: bool
    Filters: list[Filter]
    MaxResults: int
    NextToken: str


class DescribeTagsResult(TypedDict, total=False):
    NextToken: str
    Tags: Sequence[TagDescription | Fragment]


class DescribeVolumeAttributeRequest(TypedDict, total=False):
    Attribute: str
    VolumeId: str
    DryRun: bool


class DescribeVolumeAttributeResult(TypedDict, total=False):
    AutoEnableIO: AttributeBooleanValue | Fragment
    ProductCodes: Sequence[ProductCode | Fragment]
    VolumeId: str


class DescribeVolumeStatusRequest(TypedDict, total=False):
    MaxResults: int
    NextToken: str
    VolumeIds: list[str]
    IncludeManagedResources: bool
    DryRun: bool
    Filters: list[Filter]


class DescribeVolumeStatusResult(TypedDict, total=False):
    NextToken: str
    VolumeStatuses: Sequence[VolumeStatusItem | Fragment]


class DescribeVolumesRequest(TypedDict, total=False):
    VolumeIds: list[str]
    IncludeManagedResources: bool
    DryRun: bool
    Filters: list[Filter]
    NextToken: str
    MaxResults: int


class DescribeVolumesResult(TypedDict, total=False):
    NextToken: str
    Volumes: Sequence[Volume | Fragment]


class DescribeVpcAttributeRequest(TypedDict, total=False):
    Attribute: str
    VpcId: str
    DryRun: bool


class DescribeVpcAttributeResult(TypedDict, total=False):
    EnableDnsHostnames: AttributeBooleanValue | Fragment
    EnableDnsSupport: AttributeBooleanValue | Fragment
    EnableNetworkAddressUsageMetrics: AttributeBooleanValue | Fragment
    VpcId: str


class DescribeVpcsRequest(TypedDict, total=False):
    Filters: list[Filter]
    VpcIds: list[str]
    NextToken: str
    MaxResults: int
    DryRun: bool


class DescribeVpcsResult(TypedDict, total=False):
    NextToken: str
    Vpcs: Sequence[Vpc | Fragment]


class DisassociateAddressRequest(TypedDict, total=False):
    AssociationId: str
    PublicIp: str
    DryRun: bool


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


class EbsInstanceBlockDeviceSpecification(TypedDict, total=False):
    VolumeId: str
    DeleteOnTermination: bool


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


class EnaSrdSpecification(TypedDict, total=False):
    EnaSrdEnabled: bool
    EnaSrdUdpSpecification: EnaSrdUdpSpecification


class EnaSrdSpecificationRequest(TypedDict, total=False):
    EnaSrdEnabled: bool
    EnaSrdUdpSpecification: EnaSrdUdpSpecificationRequest


class EnaSrdUdpSpecification(TypedDict, total=False):
    EnaSrdUdpEnabled: bool


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


class GetConsoleOutputRequest(TypedDict, total=False):
    InstanceId: str
    Latest: bool
    DryRun: bool


class GetConsoleOutputResult(TypedDict, total=False):
    InstanceId: str
    Timestamp: datetime
    Output: str


class GetConsoleScreenshotRequest(TypedDict, total=False):
    DryRun: bool
    InstanceId: str
    WakeUp: bool


class GetConsoleScreenshotResult(TypedDict, total=False):
    ImageData: str
    InstanceId: str


class GetInstanceUefiDataRequest(TypedDict, total=False):
    InstanceId: str
    DryRun: bool


class GetInstanceUefiDataResult(TypedDict, total=False):
    InstanceId: str
    UefiData: str


class GetPasswordDataRequest(TypedDict, total=False):
    InstanceId: str
    DryRun: bool


class GetPasswordDataResult(TypedDict, total=False):
    InstanceId: str
    Timestamp: datetime
    PasswordData: str


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


class IcmpTypeCode(TypedDict, total=False):
    Code: int
    Type: int


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


class ImageAttribute(TypedDict, total=False):
    Description: AttributeValue | Fragment
    KernelId: AttributeValue | Fragment
    RamdiskId: AttributeValue | Fragment
    SriovNetSupport: AttributeValue | Fragment
    BootMode: AttributeValue | Fragment
    TpmSupport: AttributeValue | Fragment
    UefiData: AttributeValue | Fragment
    LastLaunchedTime: AttributeValue | Fragment
    ImdsSupport: AttributeValue | Fragment
    DeregistrationProtection: AttributeValue | Fragment
    ImageId: str
    LaunchPermissions: Sequence[LaunchPermission | Fragment]
    ProductCodes: Sequence[ProductCode | Fragment]
    BlockDeviceMappings: Sequence[BlockDeviceMapping | Fragment]


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


class InitializationStatusDetails(TypedDict, total=False):
    InitializationType: str
    Progress: int
    EstimatedTimeToCompleteInSeconds: int


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


class InstanceAttribute(TypedDict, total=False):
    BlockDeviceMappings: Sequence[InstanceBlockDeviceMapping | Fragment]
    DisableApiTermination: AttributeBooleanValue | Fragment
    EnaSupport: AttributeBooleanValue | Fragment
    EnclaveOptions: EnclaveOptions | Fragment
    EbsOptimized: AttributeBooleanValue | Fragment
    InstanceId: str
    InstanceInitiatedShutdownBehavior: AttributeValue | Fragment
    InstanceType: AttributeValue | Fragment
    KernelId: AttributeValue | Fragment
    ProductCodes: Sequence[ProductCode | Fragment]
    RamdiskId: AttributeValue | Fragment
    RootDeviceName: AttributeValue | Fragment
    SourceDestCheck: AttributeBooleanValue | Fragment
    SriovNetSupport: AttributeValue | Fragment
    UserData: AttributeValue | Fragment
    DisableApiStop: AttributeBooleanValue | Fragment
    Groups: Sequence[GroupIdentifier | Fragment]


class InstanceBlockDeviceMapping(TypedDict, total=False):
    DeviceName: str
    Ebs: EbsInstanceBlockDevice | Fragment


class InstanceBlockDeviceMappingSpecification(TypedDict, total=False):
    DeviceName: str
    Ebs: EbsInstanceBlockDeviceSpecification
    VirtualName: str
    NoDevice: str


class InstanceCreditSpecification(TypedDict, total=False):
    InstanceId: str
    CpuCredits: str


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


class InstanceMonitoring(TypedDict, total=False):
    InstanceId: str
    Monitoring: Monitoring | Fragment


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


class InstanceTypeOffering(TypedDict, total=False):
    InstanceType: str
    LocationType: str
    Location: str


class InstanceTypeSpecification(TypedDict, total=False):
    SupportedInstanceTypes: Sequence[InstanceTypeItem | Fragment]
    UnsupportedInstanceTypes: Sequence[InstanceTypeItem | Fragment]


class InternetGateway(TypedDict, total=False):
    Attachments: Sequence[InternetGatewayAttachment | Fragment]
    InternetGatewayId: str
    OwnerId: str
    Tags: Sequence[Tag | Fragment]


class InternetGatewayAttachment(TypedDict, total=False):
    State: str
    VpcId: str


class IpPermission(TypedDict, total=False):
    IpProtocol: str
    FromPort: int
    ToPort: int
    UserIdGroupPairs: list[UserIdGroupPair]
    IpRanges: list[IpRange]
    Ipv6Ranges: list[Ipv6Range]
    PrefixListIds: list[PrefixListId]


class IpRange(TypedDict, total=False):
    Description: str
    CidrIp: str


class Ipv4PrefixSpecification(TypedDict, total=False):
    Ipv4Prefix: str


class Ipv4PrefixSpecificationRequest(TypedDict, total=False):
    Ipv4Prefix: str


class Ipv6PrefixSpecification(TypedDict, total=False):
    Ipv6Prefix: str


class Ipv6PrefixSpecificationRequest(TypedDict, total=False):
    Ipv6Prefix: str


class Ipv6Range(TypedDict, total=False):
    Description: str
    CidrIpv6: str


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


class LaunchPermission(TypedDict, total=False):
    OrganizationArn: str
    OrganizationalUnitArn: str
    UserId: str
    Group: str


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


class ModifyInstanceAttributeRequest(TypedDict, total=False):
    SourceDestCheck: AttributeBooleanValue
    EnclaveOptions: EnclaveOptionsRequest
    DisableApiStop: AttributeBooleanValue
    DryRun: bool
    InstanceId: str
    Attribute: str
    Value: str
    BlockDeviceMappings: list[InstanceBlockDeviceMappingSpecification]
    DisableApiTermination: AttributeBooleanValue
    InstanceType: AttributeValue
    Kernel: AttributeValue
    Ramdisk: AttributeValue
    UserData: SecureBlobAttributeValue
    InstanceInitiatedShutdownBehavior: AttributeValue
    Groups: list[str]
    EbsOptimized: AttributeBooleanValue
    SriovNetSupport: AttributeValue
    EnaSupport: AttributeBooleanValue


class ModifyInstanceMetadataOptionsRequest(TypedDict, total=False):
    InstanceId: str
    HttpTokens: str
    HttpPutResponseHopLimit: int
    HttpEndpoint: str
    DryRun: bool
    HttpProtocolIpv6: str
    InstanceMetadataTags: str


class ModifyInstanceMetadataOptionsResult(TypedDict, total=False):
    InstanceId: str
    InstanceMetadataOptions: InstanceMetadataOptionsResponse | Fragment


class ModifyNetworkInterfaceAttributeRequest(TypedDict, total=False):
    EnaSrdSpecification: EnaSrdSpecification
    EnablePrimaryIpv6: bool
    ConnectionTrackingSpecification: ConnectionTrackingSpecificationRequest
    AssociatePublicIpAddress: bool
    AssociatedSubnetIds: list[str]
    DryRun: bool
    NetworkInterfaceId: str
    Description: AttributeValue
    SourceDestCheck: AttributeBooleanValue
    Groups: list[str]
    Attachment: NetworkInterfaceAttachmentChanges


class ModifySecurityGroupRulesRequest(TypedDict, total=False):
    GroupId: str
    SecurityGroupRules: list[SecurityGroupRuleUpdate]
    DryRun: bool


class ModifySecurityGroupRulesResult(TypedDict, total=False):
    Return: bool


class MonitorInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    MetricCategoryIds: list[str]
    DryRun: bool


class MonitorInstancesResult(TypedDict, total=False):
    InstanceMonitorings: Sequence[InstanceMonitoring | Fragment]


class Monitoring(TypedDict, total=False):
    MetricCategoryIds: Sequence[str]
    State: str


class NetworkAcl(TypedDict, total=False):
    Associations: Sequence[NetworkAclAssociation | Fragment]
    Entries: Sequence[NetworkAclEntry | Fragment]
    IsDefault: bool
    NetworkAclId: str
    Tags: Sequence[Tag | Fragment]
    VpcId: str
    OwnerId: str


class NetworkAclAssociation(TypedDict, total=False):
    NetworkAclAssociationId: str
    NetworkAclId: str
    SubnetId: str


class NetworkAclEntry(TypedDict, total=False):
    CidrBlock: str
    Egress: bool
    IcmpTypeCode: IcmpTypeCode | Fragment
    Ipv6CidrBlock: str
    PortRange: PortRange | Fragment
    Protocol: str
    RuleAction: str
    RuleNumber: int


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


class NetworkInterface(TypedDict, total=False):
    Association: NetworkInterfaceAssociation | Fragment
    Attachment: NetworkInterfaceAttachment | Fragment
    AvailabilityZone: str
    ConnectionTrackingConfiguration: ConnectionTrackingConfiguration | Fragment
    Description: str
    Groups: Sequence[GroupIdentifier | Fragment]
    InterfaceType: str
    Ipv6Addresses: Sequence[NetworkInterfaceIpv6Address | Fragment]
    MacAddress: str
    NetworkInterfaceId: str
    OutpostArn: str
    OwnerId: str
    PrivateDnsName: str
    PublicDnsName: str
    PublicIpDnsNameOptions: PublicIpDnsNameOptions | Fragment
    PrivateIpAddress: str
    PrivateIpAddresses: Sequence[NetworkInterfacePrivateIpAddress | Fragment]
    Ipv4Prefixes: Sequence[Ipv4PrefixSpecification | Fragment]
    Ipv6Prefixes: Sequence[Ipv6PrefixSpecification | Fragment]
    RequesterId: str
    RequesterManaged: bool
    SourceDestCheck: bool
    Status: str
    SubnetId: str
    TagSet: Sequence[Tag | Fragment]
    VpcId: str
    DenyAllIgwTraffic: bool
    Ipv6Native: bool
    Ipv6Address: str
    Operator: OperatorResponse | Fragment
    AssociatedSubnets: Sequence[str]
    AvailabilityZoneId: str


class NetworkInterfaceAssociation(TypedDict, total=False):
    AllocationId: str
    AssociationId: str
    IpOwnerId: str
    PublicDnsName: str
    PublicIp: str
    CustomerOwnedIp: str
    CarrierIp: str


class NetworkInterfaceAttachment(TypedDict, total=False):
    AttachTime: datetime
    AttachmentId: str
    DeleteOnTermination: bool
    DeviceIndex: int
    NetworkCardIndex: int
    InstanceId: str
    InstanceOwnerId: str
    Status: str
    EnaSrdSpecification: AttachmentEnaSrdSpecification | Fragment
    EnaQueueCount: int


class NetworkInterfaceAttachmentChanges(TypedDict, total=False):
    DefaultEnaQueueCount: bool
    EnaQueueCount: int
    AttachmentId: str
    DeleteOnTermination: bool


class NetworkInterfaceIpv6Address(TypedDict, total=False):
    Ipv6Address: str
    PublicIpv6DnsName: str
    IsPrimaryIpv6: bool


class NetworkInterfacePrivateIpAddress(TypedDict, total=False):
    Association: NetworkInterfaceAssociation | Fragment
    Primary: bool
    PrivateDnsName: str
    PrivateIpAddress: str


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


class PortRange(TypedDict, total=False):
    From: int
    To: int


class PrefixListId(TypedDict, total=False):
    Description: str
    PrefixListId: str


class PrivateDnsNameOptionsOnLaunch(TypedDict, total=False):
    HostnameType: str
    EnableResourceNameDnsARecord: bool
    EnableResourceNameDnsAAAARecord: bool


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


class PropagatingVgw(TypedDict, total=False):
    GatewayId: str


class PtrUpdateStatus(TypedDict, total=False):
    Value: str
    Status: str
    Reason: str


class PublicIpDnsNameOptions(TypedDict, total=False):
    DnsHostnameType: str
    PublicIpv4DnsName: str
    PublicIpv6DnsName: str
    PublicDualStackDnsName: str


class RebootInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    DryRun: bool


class RecurringCharge(TypedDict, total=False):
    Amount: float | Decimal
    Frequency: str


class ReferencedSecurityGroup(TypedDict, total=False):
    GroupId: str
    PeeringStatus: str
    UserId: str
    VpcId: str
    VpcPeeringConnectionId: str


class Region(TypedDict, total=False):
    OptInStatus: str
    Geography: Sequence[RegionGeography | Fragment]
    RegionName: str
    Endpoint: str


class RegionGeography(TypedDict, total=False):
    Name: str


class ReleaseAddressRequest(TypedDict, total=False):
    AllocationId: str
    PublicIp: str
    NetworkBorderGroup: str
    DryRun: bool


class Reservation(TypedDict, total=False):
    ReservationId: str
    OwnerId: str
    RequesterId: str
    Groups: Sequence[GroupIdentifier | Fragment]
    Instances: Sequence[Instance | Fragment]


class ReservedInstances(TypedDict, total=False):
    CurrencyCode: str
    InstanceTenancy: str
    OfferingClass: str
    OfferingType: str
    RecurringCharges: Sequence[RecurringCharge | Fragment]
    Scope: str
    Tags: Sequence[Tag | Fragment]
    AvailabilityZoneId: str
    ReservedInstancesId: str
    InstanceType: str
    AvailabilityZone: str
    Start: datetime
    End: datetime
    Duration: int
    UsagePrice: float | Decimal
    FixedPrice: float | Decimal
    InstanceCount: int
    ProductDescription: str
    State: str


class ResetInstanceAttributeRequest(TypedDict, total=False):
    DryRun: bool
    InstanceId: str
    Attribute: str


class RevokeSecurityGroupEgressRequest(TypedDict, total=False):
    SecurityGroupRuleIds: list[str]
    DryRun: bool
    GroupId: str
    SourceSecurityGroupName: str
    SourceSecurityGroupOwnerId: str
    IpProtocol: str
    FromPort: int
    ToPort: int
    CidrIp: str
    IpPermissions: list[IpPermission]


class RevokeSecurityGroupEgressResult(TypedDict, total=False):
    Return: bool
    UnknownIpPermissions: Sequence[IpPermission | Fragment]
    RevokedSecurityGroupRules: Sequence[RevokedSecurityGroupRule | Fragment]


class RevokeSecurityGroupIngressRequest(TypedDict, total=False):
    CidrIp: str
    FromPort: int
    GroupId: str
    GroupName: str
    IpPermissions: list[IpPermission]
    IpProtocol: str
    SourceSecurityGroupName: str
    SourceSecurityGroupOwnerId: str
    ToPort: int
    SecurityGroupRuleIds: list[str]
    DryRun: bool


class RevokeSecurityGroupIngressResult(TypedDict, total=False):
    Return: bool
    UnknownIpPermissions: Sequence[IpPermission | Fragment]
    RevokedSecurityGroupRules: Sequence[RevokedSecurityGroupRule | Fragment]


class RevokedSecurityGroupRule(TypedDict, total=False):
    SecurityGroupRuleId: str
    GroupId: str
    IsEgress: bool
    IpProtocol: str
    FromPort: int
    ToPort: int
    CidrIpv4: str
    CidrIpv6: str
    PrefixListId: str
    ReferencedGroupId: str
    Description: str


class Route(TypedDict, total=False):
    DestinationCidrBlock: str
    DestinationIpv6CidrBlock: str
    DestinationPrefixListId: str
    EgressOnlyInternetGatewayId: str
    GatewayId: str
    InstanceId: str
    InstanceOwnerId: str
    NatGatewayId: str
    TransitGatewayId: str
    LocalGatewayId: str
    CarrierGatewayId: str
    NetworkInterfaceId: str
    Origin: str
    State: str
    VpcPeeringConnectionId: str
    CoreNetworkArn: str
    OdbNetworkArn: str
    IpAddress: str


class RouteTable(TypedDict, total=False):
    Associations: Sequence[RouteTableAssociation | Fragment]
    PropagatingVgws: Sequence[PropagatingVgw | Fragment]
    RouteTableId: str
    Routes: Sequence[Route | Fragment]
    Tags: Sequence[Tag | Fragment]
    VpcId: str
    OwnerId: str


class RouteTableAssociation(TypedDict, total=False):
    Main: bool
    RouteTableAssociationId: str
    RouteTableId: str
    SubnetId: str
    GatewayId: str
    PublicIpv4Pool: str
    AssociationState: RouteTableAssociationState | Fragment


class RouteTableAssociationState(TypedDict, total=False):
    State: str
    StatusMessage: str


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


class SecureBlobAttributeValue(TypedDict, total=False):
    Value: bytes


class SecurityGroup(TypedDict, total=False):
    GroupId: str
    IpPermissionsEgress: Sequence[IpPermission | Fragment]
    Tags: Sequence[Tag | Fragment]
    VpcId: str
    SecurityGroupArn: str
    OwnerId: str
    GroupName: str
    Description: str
    IpPermissions: Sequence[IpPermission | Fragment]


class SecurityGroupRule(TypedDict, total=False):
    SecurityGroupRuleId: str
    GroupId: str
    GroupOwnerId: str
    IsEgress: bool
    IpProtocol: str
    FromPort: int
    ToPort: int
    CidrIpv4: str
    CidrIpv6: str
    PrefixListId: str
    ReferencedGroupInfo: ReferencedSecurityGroup | Fragment
    Description: str
    Tags: Sequence[Tag | Fragment]
    SecurityGroupRuleArn: str


class SecurityGroupRuleDescription(TypedDict, total=False):
    SecurityGroupRuleId: str
    Description: str


class SecurityGroupRuleRequest(TypedDict, total=False):
    IpProtocol: str
    FromPort: int
    ToPort: int
    CidrIpv4: str
    CidrIpv6: str
    PrefixListId: str
    ReferencedGroupId: str
    Description: str


class SecurityGroupRuleUpdate(TypedDict, total=False):
    SecurityGroupRuleId: str
    SecurityGroupRule: SecurityGroupRuleRequest


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


class Subnet(TypedDict, total=False):
    AvailabilityZoneId: str
    EnableLniAtDeviceIndex: int
    MapCustomerOwnedIpOnLaunch: bool
    CustomerOwnedIpv4Pool: str
    OwnerId: str
    AssignIpv6AddressOnCreation: bool
    Ipv6CidrBlockAssociationSet: Sequence[SubnetIpv6CidrBlockAssociation | Fragment]
    Tags: Sequence[Tag | Fragment]
    SubnetArn: str
    OutpostArn: str
    EnableDns64: bool
    Ipv6Native: bool
    PrivateDnsNameOptionsOnLaunch: PrivateDnsNameOptionsOnLaunch | Fragment
    BlockPublicAccessStates: BlockPublicAccessStates | Fragment
    Type: str
    SubnetId: str
    State: str
    VpcId: str
    CidrBlock: str
    AvailableIpAddressCount: int
    AvailabilityZone: str
    DefaultForAz: bool
    MapPublicIpOnLaunch: bool


class SubnetCidrBlockState(TypedDict, total=False):
    State: str
    StatusMessage: str


class SubnetIpv6CidrBlockAssociation(TypedDict, total=False):
    AssociationId: str
    Ipv6CidrBlock: str
    Ipv6CidrBlockState: SubnetCidrBlockState | Fragment
    Ipv6AddressAttribute: str
    IpSource: str


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


class UnmonitorInstancesRequest(TypedDict, total=False):
    InstanceIds: list[str]
    MetricCategoryIds: list[str]
    DryRun: bool


class UnmonitorInstancesResult(TypedDict, total=False):
    InstanceMonitorings: Sequence[InstanceMonitoring | Fragment]


class UpdateSecurityGroupRuleDescriptionsEgressRequest(TypedDict, total=False):
    DryRun: bool
    GroupId: str
    GroupName: str
    IpPermissions: list[IpPermission]
    SecurityGroupRuleDescriptions: list[SecurityGroupRuleDescription]


class UpdateSecurityGroupRuleDescriptionsEgressResult(TypedDict, total=False):
    Return: bool


class UpdateSecurityGroupRuleDescriptionsIngressRequest(TypedDict, total=False):
    DryRun: bool
    GroupId: str
    GroupName: str
    IpPermissions: list[IpPermission]
    SecurityGroupRuleDescriptions: list[SecurityGroupRuleDescription]


class UpdateSecurityGroupRuleDescriptionsIngressResult(TypedDict, total=False):
    Return: bool


class UserIdGroupPair(TypedDict, total=False):
    Description: str
    UserId: str
    GroupName: str
    GroupId: str
    VpcId: str
    VpcPeeringConnectionId: str
    PeeringStatus: str


class VCpuInfo(TypedDict, total=False):
    DefaultVCpus: int
    DefaultCores: int
    DefaultThreadsPerCore: int
    ValidCores: Sequence[int]
    ValidThreadsPerCore: Sequence[int]


class Volume(TypedDict, total=False):
    AvailabilityZoneId: str
    OutpostArn: str
    SourceVolumeId: str
    Iops: int
    Tags: Sequence[Tag | Fragment]
    VolumeType: str
    FastRestored: bool
    MultiAttachEnabled: bool
    Throughput: int
    SseType: str
    Operator: OperatorResponse | Fragment
    VolumeInitializationRate: int
    VolumeArn: str
    OwnerId: str
    VolumeId: str
    Size: int
    SnapshotId: str
    AvailabilityZone: str
    State: str
    CreateTime: datetime
    Attachments: Sequence[VolumeAttachment | Fragment]
    Encrypted: bool
    KmsKeyId: str


class VolumeAttachment(TypedDict, total=False):
    DeleteOnTermination: bool
    AssociatedResource: str
    InstanceOwningService: str
    EbsCardIndex: int
    VolumeId: str
    InstanceId: str
    Device: str
    State: str
    AttachTime: datetime


class VolumeStatusAction(TypedDict, total=False):
    Code: str
    Description: str
    EventId: str
    EventType: str


class VolumeStatusAttachmentStatus(TypedDict, total=False):
    IoPerformance: str
    InstanceId: str


class VolumeStatusDetails(TypedDict, total=False):
    Name: str
    Status: str


class VolumeStatusEvent(TypedDict, total=False):
    Description: str
    EventId: str
    EventType: str
    NotAfter: datetime
    NotBefore: datetime
    InstanceId: str


class VolumeStatusInfo(TypedDict, total=False):
    Details: Sequence[VolumeStatusDetails | Fragment]
    Status: str


class VolumeStatusItem(TypedDict, total=False):
    Actions: Sequence[VolumeStatusAction | Fragment]
    AvailabilityZone: str
    OutpostArn: str
    Events: Sequence[VolumeStatusEvent | Fragment]
    VolumeId: str
    VolumeStatus: VolumeStatusInfo | Fragment
    AttachmentStatuses: Sequence[VolumeStatusAttachmentStatus | Fragment]
    InitializationStatusDetails: InitializationStatusDetails | Fragment
    AvailabilityZoneId: str
    Operator: OperatorResponse | Fragment


class Vpc(TypedDict, total=False):
    OwnerId: str
    InstanceTenancy: str
    Ipv6CidrBlockAssociationSet: Sequence[VpcIpv6CidrBlockAssociation | Fragment]
    CidrBlockAssociationSet: Sequence[VpcCidrBlockAssociation | Fragment]
    IsDefault: bool
    EncryptionControl: VpcEncryptionControl | Fragment
    Tags: Sequence[Tag | Fragment]
    BlockPublicAccessStates: BlockPublicAccessStates | Fragment
    VpcId: str
    State: str
    CidrBlock: str
    DhcpOptionsId: str


class VpcCidrBlockAssociation(TypedDict, total=False):
    AssociationId: str
    CidrBlock: str
    CidrBlockState: VpcCidrBlockState | Fragment


class VpcCidrBlockState(TypedDict, total=False):
    State: str
    StatusMessage: str


class VpcEncryptionControl(TypedDict, total=False):
    VpcId: str
    VpcEncryptionControlId: str
    Mode: str
    State: str
    StateMessage: str
    ResourceExclusions: VpcEncryptionControlExclusions | Fragment
    Tags: Sequence[Tag | Fragment]


class VpcEncryptionControlExclusion(TypedDict, total=False):
    State: str
    StateMessage: str


class VpcEncryptionControlExclusions(TypedDict, total=False):
    InternetGateway: VpcEncryptionControlExclusion | Fragment
    EgressOnlyInternetGateway: VpcEncryptionControlExclusion | Fragment
    NatGateway: VpcEncryptionControlExclusion | Fragment
    VirtualPrivateGateway: VpcEncryptionControlExclusion | Fragment
    VpcPeering: VpcEncryptionControlExclusion | Fragment
    Lambda: VpcEncryptionControlExclusion | Fragment
    VpcLattice: VpcEncryptionControlExclusion | Fragment
    ElasticFileSystem: VpcEncryptionControlExclusion | Fragment
    GlobalAccelerator: VpcEncryptionControlExclusion | Fragment
    ApiGatewayV2: VpcEncryptionControlExclusion | Fragment


class VpcIpv6CidrBlockAssociation(TypedDict, total=False):
    AssociationId: str
    Ipv6CidrBlock: str
    Ipv6CidrBlockState: VpcCidrBlockState | Fragment
    NetworkBorderGroup: str
    Ipv6Pool: str
    Ipv6AddressAttribute: str
    IpSource: str


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
