@description('The name of the topic for telephony that is not Communication Services.')
param topicName string

@description('The resource id of the function app.')
param functionAppId string

@description('The resource id of the storage account that takes the dead letters.')
param deadLetterAccountId string

@description('The container of the dead letters.')
param deadLetterContainer string

var subscriptions = loadJsonContent('../subscriptions.json').custom

resource topic 'Microsoft.EventGrid/topics@2025-02-15' existing = {
  name: topicName
}

@batchSize(1)
resource each 'Microsoft.EventGrid/topics/eventSubscriptions@2025-02-15' = [
  for subscription in subscriptions: {
    parent: topic
    name: subscription.name
    properties: {
      destination: {
        endpointType: 'AzureFunction'
        properties: {
          resourceId: '${functionAppId}/functions/${subscription.function}'
          maxEventsPerBatch: 1
          preferredBatchSizeInKilobytes: 64
        }
      }
      eventDeliverySchema: 'CloudEventSchemaV1_0'
      filter: { includedEventTypes: subscription.types }
      retryPolicy: {
        maxDeliveryAttempts: subscription.attempts
        eventTimeToLiveInMinutes: subscription.minutes
      }
      deadLetterWithResourceIdentity: subscription.deadLetters
        ? {
            identity: { type: 'SystemAssigned' }
            deadLetterDestination: {
              endpointType: 'StorageBlob'
              properties: { resourceId: deadLetterAccountId, blobContainerName: deadLetterContainer }
            }
          }
        : null
    }
  }
]
