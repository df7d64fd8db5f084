// The second step: the event subscriptions, which Event Grid refuses until the functions that they name are there.
targetScope = 'resourceGroup'

@description('The name of the function app, in this resource group.')
param functionAppName string

@description('The resource id of the system topic of the Communication Services resource.')
param systemTopicId string

@description('The name of the topic for telephony that is not Communication Services, in this resource group; empty: none.')
param customTopicName string = ''

@description('The name of the storage account that takes the dead letters, in this resource group.')
param stateStorageName string

@description('The container of the dead letters.')
param deadLetterContainer string = 'dead-letters'

var topicParts = split(systemTopicId, '/')

resource functionApp 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource stateStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: stateStorageName
}

module communication 'modules/subscriptions.bicep' = {
  name: 'subscriptions-${functionAppName}'
  scope: resourceGroup(topicParts[2], topicParts[4])
  params: {
    systemTopicName: last(topicParts)
    functionAppId: functionApp.id
    deadLetterAccountId: stateStorage.id
    deadLetterContainer: deadLetterContainer
  }
}

module custom 'modules/topicSubscriptions.bicep' = if (!empty(customTopicName)) {
  name: 'topic-subscriptions'
  params: {
    topicName: customTopicName
    functionAppId: functionApp.id
    deadLetterAccountId: stateStorage.id
    deadLetterContainer: deadLetterContainer
  }
}
