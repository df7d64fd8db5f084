@description('The name of the Communication Services resource to protect; empty where it is not ours.')
param communicationName string

@description('The name of the account that holds the state.')
param stateStorageName string

@description('The name of the Cosmos DB account to protect; empty where the state does not lie there.')
param cosmosName string

@description('The name of the system topic to protect; empty where it is not ours or lies elsewhere.')
param systemTopicName string

var notes = 'Emergency calls depend on it. Deleting it loses telephone numbers, leases or events.'

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = if (!empty(communicationName)) {
  name: empty(communicationName) ? 'none' : communicationName
}

resource stateStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: stateStorageName
}

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = if (!empty(cosmosName)) {
  name: empty(cosmosName) ? 'none' : cosmosName
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (!empty(systemTopicName)) {
  name: empty(systemTopicName) ? 'none' : systemTopicName
}

resource keepCommunication 'Microsoft.Authorization/locks@2020-05-01' = if (!empty(communicationName)) {
  name: 'emergency-calling'
  scope: communication
  properties: { level: 'CanNotDelete', notes: notes }
}

resource keepState 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'emergency-calling'
  scope: stateStorage
  properties: { level: 'CanNotDelete', notes: notes }
}

resource keepCosmos 'Microsoft.Authorization/locks@2020-05-01' = if (!empty(cosmosName)) {
  name: 'emergency-calling'
  scope: cosmos
  properties: { level: 'CanNotDelete', notes: notes }
}

resource keepTopic 'Microsoft.Authorization/locks@2020-05-01' = if (!empty(systemTopicName)) {
  name: 'emergency-calling'
  scope: topic
  properties: { level: 'CanNotDelete', notes: notes }
}
