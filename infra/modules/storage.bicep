@description('The name of the account.')
param name string

@description('Where it lies.')
param location string

@description('Tags of the resource.')
param tags object

@description('Redundancy.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS', 'Standard_RAGRS', 'Standard_RAGZRS'])
param skuName string

@description('The one container of the account.')
param containerName string

@description('Keep earlier versions of a blob for 30 days. Never where a blob can hold what must be forgotten.')
param keepVersions bool

@description('Delete blobs this many days after they were written; 0 keeps them.')
@minValue(0)
param deleteAfterDays int

@description('Answer only to the virtual network and to Azure services that bring an identity.')
param closed bool

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: skuName }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      // Event Grid brings dead letters from outside of any network, by its own identity.
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-08-01' = {
  parent: account
  name: 'default'
  properties: {
    isVersioningEnabled: keepVersions
    changeFeed: { enabled: false }
    deleteRetentionPolicy: { enabled: false }
    containerDeleteRetentionPolicy: { enabled: false }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-08-01' = {
  parent: blobs
  name: containerName
  properties: { publicAccess: 'None' }
}

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-08-01' = {
  parent: account
  name: 'default'
}

// The host writes the state of its timers every minute, and each time leaves a version behind.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-08-01' = if (keepVersions || deleteAfterDays > 0) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'delete'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: { blobTypes: keepVersions ? ['blockBlob'] : ['blockBlob', 'appendBlob'] }
            actions: keepVersions
              ? { version: { delete: { daysAfterCreationGreaterThan: 30 } } }
              : { baseBlob: { delete: { daysAfterModificationGreaterThan: deleteAfterDays } } }
          }
        }
      ]
    }
  }
  dependsOn: [container]
}

output id string = account.id
