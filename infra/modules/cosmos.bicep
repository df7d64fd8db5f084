@description('The name of the account.')
param name string

@description('Where it lies.')
param location string

@description('Tags of the resource.')
param tags object

@description('The tables that the app keeps its state in. The identity may not make them itself.')
param tableNames array

@description('Spread over the zones of the region.')
param zoneRedundant bool

@description('Answer only to the virtual network.')
param closed bool

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    capabilities: [{ name: 'EnableTable' }, { name: 'EnableServerless' }]
    // The app decides on an ETag and reads what it has just written.
    consistencyPolicy: { defaultConsistencyLevel: 'Strong' }
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: zoneRedundant }]
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: closed ? 'Disabled' : 'Enabled'
    // The shortest that there is: a backup keeps for eight hours what the app has already forgotten.
    backupPolicy: {
      type: 'Periodic'
      periodicModeProperties: {
        backupIntervalInMinutes: 240
        backupRetentionIntervalInHours: 8
        backupStorageRedundancy: 'Local'
      }
    }
  }
}

resource tables 'Microsoft.DocumentDB/databaseAccounts/tables@2026-03-15' = [
  for table in tableNames: {
    parent: account
    name: table
    properties: { resource: { id: table } }
  }
]

output id string = account.id
