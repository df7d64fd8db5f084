@description('The name of the Communication Services resource, new or existing, in this resource group.')
param communicationName string

@description('Who answers calls and sends mail: the object id of the identity of the app.')
param principalId string

@description('The resource id of that identity, known before it is made.')
param identityId string

@description('The name of the system topic to make; empty where there is one already.')
param topicName string

@description('Tags of the topic.')
param tags object

var roles = loadJsonContent('../roles.json')
var role = 'Communication and Email Service Owner'

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: communicationName
}

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(communication.id, identityId, roles[role])
  scope: communication
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles[role])
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!empty(topicName)) {
  name: empty(topicName) ? 'none' : topicName
  location: 'global'
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: communication.id
    topicType: 'Microsoft.Communication.CommunicationServices'
  }
}

output hostName string = communication.properties.hostName
output immutableResourceId string = communication.properties.immutableResourceId
