@description('The name of the system topic, new or existing, in this resource group.')
param topicName string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

output principalId string = topic.identity.principalId
