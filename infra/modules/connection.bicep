@description('The name of the Communication Services resource, new or existing, in this resource group.')
param communicationName string

@description('The name of the system topic to make; empty where there is one already.')
param topicName string

@description('Tags of the topic.')
param tags object

resource communication 'Microsoft.Communication/communicationServices@2025-09-01' existing = {
  name: communicationName
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
